"""Differences of two networks of a plan, from all of its scores or from a part of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
import pandas as pd

from dainet.compare.analysis import Difference, difference, fold_difference, patient_difference, spread_of
from dainet.compare.plan import Comparison
from dainet.compare.scores import Scored, fold_scores, with_values
from dainet.errors import InputError

__all__ = [
    "MOVERS",
    "compare_networks",
    "comparisons_of",
    "difference_text",
    "interval_text",
    "lenders",
    "main_comparisons",
    "network_means",
    "networks_of",
    "or_none",
    "paired_folds",
    "patient_differences",
    "sample_of",
    "signed",
    "without_movers",
]

MOVERS = 3  # patients that move a difference most
_Result = TypeVar("_Result")


def compare_networks(
    scored: Scored, line: Comparison, scores: pd.DataFrame | None = None, column: str = "dsc"
) -> Difference:
    """Compute the difference of a comparison by `dainet.compare.analysis`, also from a part of the scores.

    Patients without a value for a training of either network are left out. A network with a single seed borrows the
    spread of the networks of the first comparison; after a first wave of one seed each, see `sample_of`.

    Raises:
        InputError: too little to compute from.
    """
    scores = scored.scores if scores is None else scores
    (first, second), sample = paired_folds(scores, line, column), sample_of(scored, line)
    if sample == "patients":
        return patient_difference(first[0], second[0])
    if sample == "folds":
        return fold_difference(first, second)
    if min(len(fold) for network in (first, second) for fold in network) > 1:
        return difference(first, second)
    return difference(first, second, spread_of(*(fold_scores(scores, name, column) for name in lenders(scored))))


def paired_folds(
    scores: pd.DataFrame, line: Comparison, column: str = "dsc"
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the scores of both networks per fold, [seeds, patients], of the patients of whom both have all values."""
    pair = with_values(scores, (line.first, line.second), column)
    return fold_scores(pair, line.first, column), fold_scores(pair, line.second, column)


def sample_of(scored: Scored, line: Comparison) -> Literal["patients and trainings", "folds", "patients"]:
    """Say what the interval of a comparison counts.

    Where neither its networks nor those of the first comparison were trained twice in a fold, folds are the sample,
    and in a single fold its patients, which allows no verdict.
    """
    seeds = scored.scores.groupby(["model", "fold"])["seed"].nunique()
    if min(seeds[line.first].min(), seeds[line.second].min()) > 1:
        return "patients and trainings"
    if max(seeds[name].max() for name in lenders(scored) if name in seeds) > 1:
        return "patients and trainings"
    return "folds" if scored.scores["fold"].nunique() > 1 else "patients"


def network_means(scored: Scored, line: Comparison) -> tuple[float, float]:
    """Return the mean DSC of both networks in points, whose difference is that of `compare_networks`.

    They are means over the patients of both, or over folds where those are the sample.
    """
    by_folds = sample_of(scored, line) == "folds"
    folds = ([fold.mean(0) for fold in network] for network in paired_folds(scored.scores, line))
    first, second = ([fold.mean() for fold in own] if by_folds else np.concatenate(own) for own in folds)
    return float(np.mean(first)), float(np.mean(second))


def patient_differences(scored: Scored, line: Comparison) -> pd.Series:
    """Return the difference of every patient, of means over seeds, in points, by patient."""
    means = 100 * scored.scores.groupby(["model", "patient", "seed"])["dsc"].mean().groupby(["model", "patient"]).mean()
    return (means[line.first] - means[line.second]).dropna()


def without_movers(scored: Scored, line: Comparison) -> Difference:
    """Compute the difference of a comparison without the patients that move it most.

    Raises:
        InputError: too few patients are left.
    """
    deltas = patient_differences(scored, line)
    movers = (deltas - deltas.mean()).abs().nlargest(MOVERS).index
    return compare_networks(scored, line, scored.scores[~scored.scores["patient"].isin(movers)])


def networks_of(scored: Scored) -> list[str]:
    """Return the networks of a plan that have scores, in its order; before the last wave some may have none."""
    found = set(scored.scores["model"])
    return [name for name in scored.plan.networks if name in found]


def comparisons_of(scored: Scored) -> list[Comparison]:
    """Return the comparisons of a plan of which both networks have scores."""
    known = networks_of(scored)
    return [line for line in scored.plan.comparisons if line.first in known and line.second in known]


def main_comparisons(scored: Scored) -> list[Comparison]:
    """Return the comparisons that can have a verdict; where all are exploratory, all of them."""
    lines = comparisons_of(scored)
    return [line for line in lines if line.role != "exploratory"] or lines


def lenders(scored: Scored) -> list[str]:
    """Return the networks of the first comparison, whose spread a network with a single seed borrows."""
    line = scored.plan.comparisons[0]
    return [line.first, line.second]


def or_none(compute: Callable[[], _Result]) -> _Result | None:
    """Return the result of a computation, or None where it has too little to compute from."""
    try:
        return compute()
    except InputError:
        return None


def difference_text(result: Difference | None) -> str:
    """Write a difference with its 95 % interval: "+0.30 (+0.10 to +0.50)"; None, which could not be had, "too few"."""
    if result is None:
        return "too few"
    return f"{result.estimate:+.2f} ({interval_text(*result.interval(0.95))})"


def signed(points: float) -> str:
    """Write a difference in points: "+0.10"; "-" where it is not known."""
    return "-" if math.isnan(points) else f"{points:+.2f}"


def interval_text(low: float, high: float) -> str:
    """Write an interval in points: "+0.10 to +0.50"; "-" where scores that do not differ give none."""
    return "-" if math.isnan(low) else f"{low:+.2f} to {high:+.2f}"
