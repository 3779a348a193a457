"""The explorer's card: things to try, one after another, each with a prediction before the result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape

import ipywidgets
from ipywidgets import HTML, HBox, Layout, VBox

from dainet.explorer.predictor import Choice

__all__ = ["TRIES", "Card", "Try"]


@dataclass(frozen=True)
class Try:
    """A change of the setting with everything on, what is asked before it is shown, and what to think of afterwards."""

    question: str
    change: Callable[[Choice], Choice]
    afterwards: str


TRIES = (
    Try(
        "Skip (1) hands features of the attention encoder to the decoder, at one resolution. Cut it: there the decoder "
        "gets zeros.",
        lambda on: replace(on, skips_on=(False, True, True, True)),
        "Cut (2), (3) and (4) as well, one at a time. Which one hurts, and which structure?",
    ),
    Try(
        "Cut all four skips of the attention encoder.",
        lambda on: replace(on, skips_on=(False,) * 4),
        "The decoder was fitted to features that are now zeros. So this is what it relies on. Does it need them?",
    ),
    Try(
        "The same four skips, but the network dual-0000, which was trained without them.",
        lambda on: replace(on, cut=False, skips_on=(False,) * 4),
        "Its weights could adapt. Damage that has gone was no need for attention, but an unfamiliar input.",
    ),
    Try(
        "Everything on again, and head 1 alone is cut: its map becomes zeros.",
        lambda on: replace(on, heads_on=(False, *on.heads_on[1:])),
        "Keep the number in mind for the next question, and try the other heads.",
    ),
    Try(
        "Head 1 again, but replaced by the map's own mean: the level stays, and every place is lost.",
        lambda on: replace(on, heads_on=(False, *on.heads_on[1:]), instead="mean"),
        "Neither map says where an organ is. What zeros cost beyond the mean is the price of an unfamiliar input.",
    ),
    Try(
        "All heads are cut to zeros. As much as the single heads together?",
        lambda on: replace(on, heads_on=(False,) * len(on.heads_on)),
        "The parts need not add up: convolutions weigh the maps against each other, and one that is missing can upset "
        "this balance more than all.",
    ),
    Try(
        "All heads on, but the maps come from a transformer with random weights, which has learned nothing.",
        lambda on: replace(on, source="random"),
        "Are learned maps better, or only those that this network is used to? Only a training with random maps tells.",
    ),
)


class Card:
    """Asks one question after another; `screen` is its widget, and `shown` is called with a try that was predicted.

    Args:
        shown: shows the setting of a try; the explorer then calls `report`.
    """

    def __init__(self, shown: Callable[[Try], None]) -> None:
        self._shown, self._number = shown, 0
        self._results: dict[int, str] = {}
        self._predicted: tuple[int, float] | None = None  # number and guess of the try that was shown last
        self.question, self.result = HTML(), HTML()
        self.back, self.forward = _button("◀", "the question before"), _button("▶", "the next question")
        self.guess = ipywidgets.Text(
            description="Change of the volume's mean DSC",
            placeholder="points",
            layout=Layout(width="auto", flex="none"),
            style={"description_width": "auto"},
        )
        self.show = _button("Show it", "show the result next to your prediction", width="76px")
        self.back.on_click(lambda _: self._turn(-1))
        self.forward.on_click(lambda _: self._turn(1))
        self.show.on_click(lambda _: self._predict())
        top = HBox([self.question, self.back, self.forward]).add_class("dainet-question")
        self.screen = VBox([top, HBox([self.guess, self.show]), self.result]).add_class("dainet-card")
        self._turn(0)

    @property
    def current(self) -> Try:
        """The try that is asked."""
        return TRIES[self._number]

    def report(self, change: float) -> None:
        """Put the result, a share of DSC, next to the prediction, whatever question the card shows by now."""
        assert self._predicted is not None  # nothing is shown before
        number, guess = self._predicted
        said = f"You predicted {guess:+g}, found: <b>{round(100 * change, 1) + 0.0:+} points</b>."
        self._results[number] = f"{said} {escape(TRIES[number].afterwards)}"
        self._fill()

    def _turn(self, step: int) -> None:
        self._number = (self._number + step) % len(TRIES)
        self.guess.value = ""
        self._fill()

    def _fill(self) -> None:
        self.question.value = f"<b>Try {self._number + 1} of {len(TRIES)}.</b> {escape(self.current.question)}"
        self.result.value = self._results.get(self._number, "")

    def _predict(self) -> None:
        guess = _number(self.guess.value)
        if guess is None:
            self.result.value = "First predict, in points: a number such as -5 (it falls by five points) or 0."
            return
        self.result.value = ""
        self._predicted = self._number, guess
        self._shown(self.current)


def _number(text: str) -> float | None:
    """Read a finite number with a decimal point or comma."""
    try:
        value = float(text.replace(",", ".").replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _button(text: str, tooltip: str, width: str = "32px") -> ipywidgets.Button:
    return ipywidgets.Button(description=text, tooltip=tooltip, layout=Layout(width=width, flex="none"))
