"""Questions for the class, and what students can do after a lesson: read from votes.toml and objectives.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from dainet.errors import InputError

__all__ = ["OBJECTIVES", "VOTES", "Objective", "Vote", "read_objectives", "read_votes"]

VOTES = Path(__file__).with_name("votes.toml")
OBJECTIVES = Path(__file__).with_name("objectives.toml")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Kind = TypeVar("_Kind", bound=_Entry)


class Choice(_Entry):
    """An answer to a vote, and why it is right or wrong."""

    text: str
    reason: str
    right: bool = False


class Vote(_Entry):
    """A question with four choices, one of them right; `lesson` is the number of its notebook, such as "03"."""

    title: str
    lesson: str
    question: str
    choices: tuple[Choice, Choice, Choice, Choice]

    @model_validator(mode="after")
    def _one_is_right(self) -> Vote:
        if sum(choice.right for choice in self.choices) != 1 or not all(choice.reason for choice in self.choices):
            raise ValueError(f"{self.title!r} needs exactly one right choice, and a reason for each of the four")
        return self


class Objective(_Entry):
    """What a student can do after a lesson, and the votes and exercises ("vote 3", "exercise 2.1") that show it."""

    lesson: str
    text: str
    shown_by: tuple[str, ...]


def read_votes(path: Path = VOTES) -> list[Vote]:
    """Read the votes in their order.

    Raises:
        InputError: a vote lacks a choice or a reason, or has not exactly one right choice.
    """
    return _read(path, "vote", Vote)


def read_objectives(path: Path = OBJECTIVES) -> list[Objective]:
    """Read the objectives, lesson by lesson.

    Raises:
        InputError: an entry lacks a part, or has one that is unknown.
    """
    return _read(path, "objective", Objective)


def _read(path: Path, name: str, kind: type[_Kind]) -> list[_Kind]:
    try:
        return [kind.model_validate(entry) for entry in tomllib.loads(path.read_text(encoding="utf-8"))[name]]
    except (KeyError, ValidationError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path.name}: {error}") from error
