"""Exercises of notebook 8: a ratio of costs, a mean that does not fit, the best of many looks, and two judgments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from dainet.lessons.answers.kinds import Choice, Exercise, Number, judgment

__all__ = ["EXERCISES"]

_LOOKS, _WOBBLE = 20, 0.3  # epochs at which the test set is looked at; standard deviation in points


def _ratio(column: str) -> Callable[[pd.DataFrame], float]:
    def ratio(costs: pd.DataFrame) -> float:
        values = costs.set_index("Network")[column]
        return float(values["dual-1111"] / values["transunet"])

    return ratio


def _gap(paper: pd.DataFrame) -> pd.Series:
    printed = paper.set_index("method")
    return (printed[["rv", "myo", "lv"]].astype(float).mean(axis=1) - printed["dsc"].astype(float)).abs()


def _best_of(looks: int) -> float:
    """Compute how far the largest of normally distributed numbers lies above their mean, on average."""
    draws = np.random.default_rng(0).normal(0, _WOBBLE, (100_000, looks))
    return float(draws.max(axis=1).mean())


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=_ratio("GFLOP per image"),
        within=0.05,
        mistakes={  # both are near one half
            "this is the ratio of parameters, or the inverse of what is asked": _ratio("Parameters (M)"),
        },
        nudge="which column of the table counts operations?",
        hint="costs.set_index('Network')['GFLOP per image']: that of dual-1111 over that of transunet",
    ),
    Choice(
        truth=lambda paper: str(_gap(paper).idxmax()),
        options=lambda paper: paper["method"],
        reasons={"DAINet (dual-1111)": "91.893 is printed as 91.90: rounded, if generously; look for more than 0.01"},
        nudge="average rv, myo and lv of every row",
        hint="the mean of the three columns minus dsc; one row is off by more than a tenth of a point",
    ),
    Number(
        truth=lambda: _best_of(_LOOKS),
        within=0.03,
        mistakes={
            "this is the spread of one look; the best of twenty lies higher": lambda: _WOBBLE,
            "this is the error of the mean of twenty looks; selection takes their maximum": lambda: (
                _WOBBLE / _LOOKS**0.5
            ),
            "0.3 is a standard deviation: multiply what you found for deviation 1 by 0.3": lambda: (
                _best_of(_LOOKS) / _WOBBLE
            ),
        },
        nudge="draw twenty numbers and take the largest; repeat",
        hint="np.random.default_rng().normal(0, 0.3, (100_000, 20)).max(axis=1).mean()",
    ),
    judgment(
        right="b",
        reasons={
            "a": "nothing says in which direction the number is off: with the projection kept it may rise or fall",
            "c": "training sees many draws, but a prediction takes one; the next pass takes another",
            "d": "a random projection still carries the features on, and the blocks behind it are trained; whether "
            "they add anything, only a network without them would show",
        },
        nudge="what happens if the same weights predict the same test patient a second time?",
        hint="you have seen two passes differ; the printed score is that of one pass",
    ),
    judgment(
        right="d",
        reasons={
            "a": "one training of each: notebook 5 has two trainings of one network that differ by more",
            "b": "an interval from -0.4 to +1.7 shows no equality: it allows more than the paper's whole effect",
            "c": "the numbers of parameters differ by less than a hundredth; size explains nothing here",
        },
        nudge="how many trainings of each network are in the table?",
        hint="a sentence about features as such needs several trainings, patients, and a rule fixed beforehand",
    ),
)
