"""Exercises of notebook 5: the order of the switches, the price of one, and the number of trainings."""

from __future__ import annotations

import math

from dainet.lessons.answers.kinds import Exercise, Number
from dainet.segmentation.networks import build, parameter_count

__all__ = ["EXERCISES"]

EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda: 1,
        nudge="which end is (1)?",
        hint="(4) is the last of the four, and (1) the deepest",
    ),
    Number(
        truth=lambda: parameter_count(build("dual-1000")) - parameter_count(build("dual-0000")),
        nudge="which convolution reads the new channels?",
        hint="only the first convolution of the deepest decoder block grows; build both networks and subtract",
    ),
    Number(
        truth=lambda: next(n for n in range(1, 1000) if 0.5 * math.sqrt(2 / n) < 0.1),
        nudge="two means vary, not one",
        hint="the difference of two means of n runs has variance 2 * 0.25 / n",
        mistakes={"the standard error is then 0.1, and not below it": lambda: 50},
    ),
)
