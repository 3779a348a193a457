"""Exercises of notebook 9: students of a placebo, a margin, five plans, a sentence to judge, and seeds for a gain."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dainet.compare.power import seeds_needed, spread_of_plan
from dainet.compare.questions import Answer
from dainet.compare.scores import Scored
from dainet.compare.simulation import Design
from dainet.lessons.answers.kinds import Exercise, Number, judgment
from dainet.lessons.gain.students import students

__all__ = ["EXERCISES"]

_PLACEBO, _PLANS, _LEVEL = "order", 5, 0.05
_DESIGN = Design((6,) * 5, (3, 3))  # of the lesson's plan


def _says(scored: Scored) -> pd.Series:
    return students(scored.scores, _PLACEBO)["says"]


def _margin(judged: Mapping[str, Answer], level: float) -> float:
    return float(np.abs(judged[_PLACEBO].result.interval(level)).max())


def _seeds(scored: Scored, gain: float = 1.0) -> float:
    return seeds_needed(_DESIGN, spread_of_plan(scored), gain) or float("nan")


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda scored: float((_says(scored) != "inconclusive").sum()),
        nudge="a difference in either direction is a claim",
        hint="students(scored.scores, 'order')['says'] holds yes, no and inconclusive; count the first two",
        mistakes={
            "these are the students who are honest enough to say inconclusive": lambda scored: float(
                (_says(scored) == "inconclusive").sum()
            ),
            "this counts one direction only": lambda scored: float((_says(scored) == "yes").sum()),
        },
    ),
    Number(
        truth=lambda judged: _margin(judged, 0.90),
        within=0.06,  # "two and a half" is right, too
        nudge="equivalence looks at the 90 % interval, not at the 95 % one",
        hint="judged['order'].result.interval(0.90): the margin has to reach the end that is farther from zero",
        mistakes={
            "this is the end of the 95 % interval; two one-sided tests at 5 % need the 90 % one": lambda judged: (
                _margin(judged, 0.95)
            ),
            "this is the nearer end; the whole interval has to lie within the margin": lambda judged: float(
                np.abs(judged[_PLACEBO].result.interval(0.90)).min()
            ),
        },
    ),
    Number(
        truth=lambda: 1 - (1 - _LEVEL) ** _PLANS,
        within=0.005,  # 0.23 is right, too
        share=True,
        nudge="what is the chance that all five plans stay silent?",
        hint="1 - 0.95 ** 5: one minus the chance that none of the five is fooled",
        mistakes={
            "the five chances cannot be added: two plans may be fooled at once": lambda: _LEVEL * _PLANS,
            "this is the chance of one plan; there are five": lambda: _LEVEL,
            "this is the chance that all five stay silent": lambda: (1 - _LEVEL) ** _PLANS,
            "this counts one direction; the 95 % interval can miss zero on either side": lambda: (
                1 - (1 - _LEVEL / 2) ** _PLANS
            ),
        },
    ),
    judgment(
        right="b",
        nudge="compare the whole interval with zero, and then with the margin",
        hint="the interval excludes zero and lies within the margin: two findings, and both have to be said",
        reasons={
            "a": "it leaves out the margin: the gain is there, and smaller than what was worth having",
            "c": "the interval excludes zero, so there is a difference; equivalent means too small to matter, not zero",
            "d": "nothing is missing here: both ends of the interval are closer to zero than the margin",
        },
    ),
    Number(
        truth=lambda scored: _seeds(scored),
        nudge="the design is that of the plan; the spread is that of these phantoms",
        hint="seeds_needed(Design((6,) * 5, (3, 3)), spread_of_plan(scored), gain=1)",
        mistakes={
            "these are trainings of both networks in all folds; the question asks for seeds per fold": lambda scored: (
                _seeds(scored) * 10
            ),
            "these are trainings of one network in all folds; the question asks for seeds per fold": lambda scored: (
                _seeds(scored) * 5
            ),
            "this finds a gain of two points": lambda scored: _seeds(scored, 2.0),
        },
    ),
)
