"""Kinds of exercises, and what each says about a wrong answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any

__all__ = ["Choice", "Exercise", "Number", "judgment", "needed_names"]

Made = Mapping[str, Any]  # what the cells of the lesson have made, by name


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """An exercise: how its truth is computed, and what is said after the first and after every later wrong answer.

    The parameters of `truth`, and of every other function given here, are names that the cells of the lesson define.
    """

    truth: Callable[..., Any]
    nudge: str
    hint: str

    def fault(self, answer: Any, made: Made) -> str | None:
        """Return None for a right answer, what is known to be wrong with it, or "" where nothing is known."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Number(Exercise):
    """A number, right within a tolerance; typical mistakes are computed like the truth and have words of their own."""

    within: float = 1e-6  # float32 is that exact, and tensors have it
    share: bool = False  # from 0 to 1, so that an answer in percent can be named as one
    mistakes: Mapping[str, Callable[..., float]] = field(default_factory=dict)  # what to say -> the mistaken number

    def fault(self, answer: Any, made: Made) -> str | None:
        """Return None for a right answer, what is known to be wrong with it, or "" where nothing is known."""
        if isinstance(answer, str):
            return f"expected a number without quotes, found the text {answer!r}"
        try:
            value = float(answer)
        except (TypeError, ValueError):
            return f"expected a number such as 0.5, found {_shown(answer)}"
        truth = _called(self.truth, made)
        if self._near(value, truth):
            return None
        if self.share and self._near(value / 100, truth):
            return "right in percent, but the question asks for a share between 0 and 1"
        mistaken = {words: _called(wrong, made) for words, wrong in self.mistakes.items()}
        said = [words for words, number in mistaken.items() if self._near(value, number)]
        unknown = "right but for its sign" if self._near(-value, truth) else ""
        return min(said, key=lambda words: abs(value - mistaken[words]), default=unknown)

    def _near(self, value: float, other: float) -> bool:
        return abs(value - other) <= self.within


@dataclass(frozen=True, kw_only=True)
class Choice(Exercise):
    """A name or a letter out of several, in any case and as in "b)"; each wrong one may have a reason of its own."""

    options: Callable[..., Any]
    reasons: Mapping[str, str] = field(default_factory=dict)  # wrong choice -> why it is wrong

    def fault(self, answer: Any, made: Made) -> str | None:
        """Return None for a right answer, what is known to be wrong with it, or "" where nothing is known."""
        options = {_plain(option): str(option) for option in _called(self.options, made)}
        chosen = options.get(_plain(answer))
        if chosen is None:
            return f"expected one of {', '.join(options.values())}, found {_shown(answer)}"
        return None if chosen == str(_called(self.truth, made)) else self.reasons.get(chosen, "")


def judgment(right: str, reasons: Mapping[str, str], nudge: str, hint: str) -> Choice:
    """Build a choice between letters: the right one, and the wrong ones, each with its reason."""
    letters = sorted((right, *reasons))
    return Choice(truth=lambda: right, options=lambda: letters, reasons=reasons, nudge=nudge, hint=hint)


def needed_names(exercise: Exercise) -> set[str]:
    """Return the names that cells of the lesson must have defined before this exercise can be checked."""
    functions = [exercise.truth, getattr(exercise, "options", None), *getattr(exercise, "mistakes", {}).values()]
    return {name for function in functions if function for name in inspect.signature(function).parameters}


def _plain(name: object) -> str:
    return str(name).strip(" ().").casefold()


def _shown(answer: object) -> str:
    """Show an answer in one line: a table or a tensor has many."""
    return shorten(repr(answer), 100, placeholder=" ...")


def _called(function: Callable[..., Any], made: Made) -> Any:
    return function(**{name: made[name] for name in inspect.signature(function).parameters})
