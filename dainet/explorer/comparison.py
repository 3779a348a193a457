"""The explorer's comparison: the setting that is shown, the one before it, and the pinned one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain

import numpy as np

from dainet.errors import DainetError
from dainet.explorer.predictor import Choice, Predictor

__all__ = ["Comparison", "mean_dsc"]


class Comparison:
    """Compares what has been predicted under the setting that is shown with the pinned one; see `table`.

    Args:
        predictor: of the open data set.
        everything_on: what is pinned at first.
    """

    def __init__(self, predictor: Predictor, everything_on: Choice) -> None:
        self.predictor, self.pinned = predictor, everything_on
        self.now: Choice | None = None
        self.before: Choice | None = None

    def show(self, choice: Choice) -> None:
        """Make a setting the one that is shown."""
        if choice != self.now:
            self.now, self.before = choice, self.now

    def predict_pinned(self, row: int) -> None:
        """Predict a slice under the pinned setting; without its network or maps there is nothing to compare with."""
        with suppress(DainetError):
            self.predictor.slice_label(self.pinned, row)

    def volume_steps(self, case_id: str, row: int) -> Iterator[None]:
        """Predict a volume under the setting that is shown, then under the pinned one if its slice `row` is known."""
        comparable = self.predictor.known(self.pinned, [row]) is not None
        choices = [choice for choice in (self.now, self.pinned if comparable else None) if choice]
        return chain.from_iterable(self.predictor.volume_steps(choice, case_id) for choice in choices)

    def lines(self, parts: Mapping[str, np.ndarray]) -> dict[str, tuple[list[float] | None, list[float] | None]]:
        """Return title -> DSC per class now and under the pinned setting; None where unknown, or the same setting."""
        pinned = None if self.now == self.pinned else self.pinned
        return {
            title: (self.predictor.dsc(self.now, rows), self.predictor.dsc(pinned, rows))
            for title, rows in parts.items()
        }

    def change(self, other: Choice | None, rows: np.ndarray) -> float:
        """Return how the mean DSC of these rows differs from that under another setting; NaN where one is unknown."""
        return mean_dsc(self.predictor.dsc(self.now, rows)) - mean_dsc(self.predictor.dsc(other, rows))


def mean_dsc(values: Sequence[float] | None) -> float:
    """Return the mean over the classes that are there, NaN where nothing is."""
    known = [value for value in values or () if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
