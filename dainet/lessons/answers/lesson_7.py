"""Exercises of notebook 7: one patient, a verdict with a margin, a sentence to judge, a network against itself."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from dainet.compare.analysis import difference, verdict
from dainet.compare.rule import VERDICTS
from dainet.lessons.answers.kinds import Choice, Exercise, Number, judgment
from dainet.reporting.statistics import patient_means

__all__ = ["EXERCISES"]


def _ahead(dual: pd.DataFrame, unet: pd.DataFrame, patient: str) -> float:
    return float((dual[patient] > unet[patient]).sum())


def _verdict(scores: pd.DataFrame) -> str:
    networks = [patient_means(scores, name).to_numpy() for name in ("dual-1111", "dual-0000")]
    return verdict(difference([networks[0][:3]], [networks[1]]), 0.3)


def _surprised(unet: pd.DataFrame) -> float:
    pairs = combinations(unet.to_numpy(), 2)
    return float(np.mean([stats.ttest_rel(*pair).pvalue < 0.05 for pair in pairs]))


def _surprised_by_wilcoxon(unet: pd.DataFrame) -> float:
    pairs = combinations(unet.to_numpy(), 2)
    return float(np.mean([stats.wilcoxon(*pair).pvalue < 0.05 for pair in pairs]))


def _surprised_with_itself(unet: pd.DataFrame) -> float:
    count = len(unet)
    return _surprised(unet) * (count - 1) / count


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda dual, unet, patient: _ahead(dual, unet, patient),
        nudge="one patient, ten trainings of each network",
        hint="compare the columns dual[patient] and unet[patient] row by row, and count",
        mistakes={
            "these are the trainings in which the U-Net is ahead": lambda dual, unet, patient: (
                len(dual) - _ahead(dual, unet, patient)
            ),
            "this counts patients, by their means; the question is about one patient": lambda dual, unet: float(
                (dual.mean() > unet.mean()).sum()
            ),
        },
    ),
    Choice(
        truth=lambda scores: _verdict(scores),
        options=lambda: (*VERDICTS, "equivalent"),
        reasons={
            "equivalent": "the 90 % interval has to lie within -0.3 to +0.3 as a whole; look at its upper end",
            "supported": "then the 95 % interval would lie above zero; look at its lower end",
            "contradicted": "then the 95 % interval would lie below zero; the difference is above",
        },
        nudge="compute both intervals: difference(...).interval(0.95) and .interval(0.90)",
        hint="is zero outside the 95 % interval? is the 90 % interval inside the margin? if neither, there is one word",
    ),
    judgment(
        right="c",
        reasons={
            "a": "one interval that starts at +0.03 is not enough: the row was not registered, it is one of many looks "
            "at the same twenty patients, two patients make up half of it, and the validation patients do not show it",
            "b": "an effect that was not shown is not an effect that is absent: the interval reaches one point, three "
            "times what the paper claims over the U-Net",
            "d": "the size of this third is not known, because its interval nearly reaches zero; and a rest after a "
            "subtraction is not a cause",
        },
        nudge="which sentence says no more than the interval, and names what weakens it?",
        hint="'helps' and 'does not matter' both claim to know; the interval from +0.03 to +1.04 allows nearly both",
    ),
    Number(
        truth=lambda unet: _surprised(unet),
        within=0.01,
        share=True,
        mistakes={
            "this is Wilcoxon's test; the exercise asks for ttest_rel": lambda unet: _surprised_by_wilcoxon(unet),
            "a training compared with itself is no pair: 45 pairs, not 100": lambda unet: _surprised_with_itself(unet),
            "this is the share that is expected; count the pairs": lambda: 0.05,
        },
        nudge="take all 45 pairs of the ten U-Nets: itertools.combinations(unet.to_numpy(), 2)",
        hint="stats.ttest_rel(first, second).pvalue < 0.05 for each pair; then the mean",
    ),
)
