"""The exercises of all lessons by number, with their truths and what is said about wrong answers."""

from dainet.lessons.answers import (
    lesson_1,
    lesson_2,
    lesson_3,
    lesson_4,
    lesson_5,
    lesson_6,
    lesson_7,
    lesson_8,
    lesson_9,
)
from dainet.lessons.answers.kinds import Exercise

__all__ = ["EXERCISES"]

_LESSONS = (lesson_1, lesson_2, lesson_3, lesson_4, lesson_5, lesson_6, lesson_7, lesson_8, lesson_9)
EXERCISES: dict[str, Exercise] = {
    f"{lesson}.{number}": exercise
    for lesson, module in enumerate(_LESSONS, 1)
    for number, exercise in enumerate(module.EXERCISES, 1)
}
