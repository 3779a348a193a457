"""Notebook 9: its answers are judged, and its prose says what the stored trainings say."""

import math
from typing import Any

import pytest

from dainet.compare.power import spread_of_plan
from dainet.compare.questions import answers
from dainet.compare.simulation import Design
from dainet.lessons.answers import EXERCISES
from dainet.lessons.gain import read_gain
from dainet.lessons.gain.students import students
from tests.helpers.notebooks import check_solutions, lesson, shown

NOTEBOOK = lesson("09")
DESIGN = "30 patients in 5 folds, 3 seeds (our plan)"
PROSE = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """What the exercises need of the lesson."""
    scored = read_gain()
    judged = {answer.comparison.first: answer for answer in answers(scored)}
    spreads, designs = {"these phantoms": spread_of_plan(scored)}, {DESIGN: Design((6,) * 5, (3, 3))}
    return {"scored": scored, "judged": judged, "students": students, "spreads": spreads, "designs": designs}


def judged(number: str, answer: object, made: dict[str, Any]) -> str | None:
    return EXERCISES[number].fault(answer, made)


def test_right_answers(made: dict[str, Any]) -> None:
    says = students(made["scored"].scores, "order")["says"]
    assert judged("9.1", (says == "yes").sum() + (says == "no").sum(), made) is None
    low, high = made["judged"]["order"].result.interval(0.90)
    assert judged("9.2", round(max(-low, high), 2), made) is None
    assert judged("9.3", 0.226, made) is None
    assert judged("9.4", "B", made) is None
    assert judged("9.5", 48, made) is None


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("9.1", "7", "quotes"),
        ("9.3", 0.25, "added"),
        ("9.3", 0.05, "one plan"),
        ("9.3", 0.774, "silent"),
        ("9.3", 0.119, "either side"),
        ("9.3", 22.6, "percent"),
        ("9.4", "a", "margin"),
        ("9.4", "c", "excludes zero"),
        ("9.4", "d", "closer to zero"),
        ("9.4", "e", "expected one of"),
        ("9.5", 480, "both networks"),
        ("9.5", 240, "one network"),
        ("9.5", 9, "two points"),
    ],
)
def test_typical_mistakes_are_named(number: str, answer: object, words: str, made: dict[str, Any]) -> None:
    assert words in (judged(number, answer, made) or "")


def test_mistakes_that_the_scores_decide_are_named(made: dict[str, Any]) -> None:
    says = students(made["scored"].scores, "order")["says"]
    assert "honest" in (judged("9.1", (says == "inconclusive").sum(), made) or "")
    assert "one direction" in (judged("9.1", (says == "yes").sum(), made) or "")
    result = made["judged"]["order"].result
    assert "95 %" in (judged("9.2", max(map(abs, result.interval(0.95))), made) or "")
    assert "nearer end" in (judged("9.2", min(map(abs, result.interval(0.90))), made) or "")
    assert judged("9.2", math.pi, made) == ""


def test_the_solutions_are_right(made: dict[str, Any]) -> None:
    check_solutions(NOTEBOOK, made)


@pytest.mark.parametrize(
    ("prose", "cell", "printed"),
    [
        ("three claim a difference", "rows[name] |=", ["order      1  2           12"]),
        ("*position* are no better off: two say yes, five say no", "rows[name] |=", ["position   2  5            8"]),
        ("finds gains from 3.5 points on", "smallest_gain(", ["3.48"]),
        ("20 patients and three seeds find two points", "smallest_gain(", ["2.12"]),
        ("Twenty seeds find 1.2", "smallest_gain(", ["1.22"]),
        ("are expected to find 0.28 points, a third", "smallest_gain(", ["0.28", "0.84"]),
        ("Seven say yes, three are inconclusive", "one_seed_students(", ["yes             7\ninconclusive    3"]),
        ("1.74 points, from 0.80 to 2.68", "one_seed_students(", ["+1.74 points, 95 % +0.80 to +2.68"]),
    ],
)
def test_numbers_in_the_prose_are_those_that_a_cell_prints(prose: str, cell: str, printed: list[str]) -> None:
    assert prose in PROSE
    text = shown(NOTEBOOK, cell)
    assert [words for words in printed if words not in text] == []


def test_numbers_in_the_prose_that_no_cell_prints(made: dict[str, Any]) -> None:
    placebo = students(made["scored"].scores, "order").set_index("says")
    assert f"a gain of {placebo.loc['yes', 'difference']:.1f} points, two a loss" in PROSE
    assert {answer.verdict.split(";")[0] for answer in made["judged"].values()} == {"inconclusive"}
    assert round(spread_of_plan(made["scored"]).trainings) == 3


def test_no_sentence_depends_on_the_change_that_a_reader_has_chosen() -> None:
    """What cells show of one change is in no text; of all three it is."""
    before = PROSE.partition("## 9.5")[0].partition("## 9.2")[2]
    assert not any(f"*{name}*" in before for name in ("order", "position"))
