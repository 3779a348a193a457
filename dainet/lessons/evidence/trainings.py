"""Trainings: what one student with one training finds, what varies by how much, what fewer than ten would show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dainet.compare.analysis import difference, spread_of
from dainet.reporting.statistics import paired_differences

__all__ = ["components", "fewer_trainings", "one_seed_students", "said"]

_DRAWS = 2000


def one_seed_students(scores: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Let a student per seed compare two networks by one training of each, with an interval over patients alone.

    Args:
        scores: per case, strict policy, see `dainet.lessons.evidence.read_scores`.
        first, second: names of networks.

    Returns:
        One row per seed that both have: student ("seed 0"), difference, low, high (95 %, points), says (see `said`).
    """
    seeds = sorted(set.intersection(*(set(scores[scores["model"] == name]["seed"]) for name in (first, second))))
    lines = []
    for seed in seeds:
        found = paired_differences(scores[scores["seed"] == seed], first, second)
        line = {name: float(found[name]) for name in ("difference", "low", "high")}
        lines.append({"student": f"seed {seed}", **line, "says": said(line["low"], line["high"])})
    return pd.DataFrame(lines)


def said(low: float, high: float) -> str:
    """Say what an interval answers to "is the first network better?": "yes", "no", or "inconclusive" if it holds 0."""
    return "yes" if low > 0 else "no" if high < 0 else "inconclusive"


def components(scores: np.ndarray) -> dict[str, float]:
    """Split the spread of scores, or of differences, into patients, trainings and what is left: standard deviations.

    Each is corrected for the luck that it contains (variance components of a two-way table without replicates).

    Args:
        scores: points [seeds, patients].
    """
    seeds, patients = scores.shape
    spread = spread_of([scores])
    parts = {
        "patients": scores.mean(axis=0).var(ddof=1) - spread.residual / seeds,
        "trainings": spread.training - spread.residual / patients,
        "luck of a training in a patient": spread.residual,
    }
    return {name: float(np.sqrt(max(0.0, variance))) for name, variance in parts.items()}


def fewer_trainings(first: np.ndarray, second: np.ndarray, counts: Sequence[int]) -> pd.DataFrame:
    """Draw fewer of the trainings of two networks many times, and compare each draw (95 %, patients and trainings, t).

    The draws share trainings, and the patients stay the same: this says what other trainings would have shown on these
    patients.

    Args:
        first, second: points [seeds, patients].
        counts: trainings of each network in a draw, two or more.

    Returns:
        One row per count: trainings, yes (share of draws whose interval lies above zero), half_width (of the interval,
        median over draws, points).
    """
    random, lines = np.random.default_rng(0), []
    for count in counts:
        draws = [network[_subsets(random, len(network), count)] for network in (first, second)]
        low, high = difference([draws[0]], [draws[1]]).interval()
        lines.append({"trainings": count, "yes": (low > 0).mean(), "half_width": np.median(high - low) / 2})
    return pd.DataFrame(lines)


def _subsets(random: np.random.Generator, size: int, count: int) -> np.ndarray:
    return random.permuted(np.tile(np.arange(size), (_DRAWS, 1)), axis=1)[:, :count]
