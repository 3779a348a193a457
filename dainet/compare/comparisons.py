"""Differences of two networks of a plan, from all of its scores or from a part of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pandas as pd

from dainet.compare.analysis import Difference, difference, fold_difference, patient_difference, spread_of
from dainet.compare.plan import Comparison
from dainet.compare.scores import Scored, fold_scores
from dainet.errors import InputError

__all__ = [
    "MOVERS",
    "compare_networks",
    "comparisons_of",
    "difference_text",
    "interval_text",
    "lenders",
    "main_comparisons",
    "networks_of",
    "or_none",
    "patient_differences",
    "without_movers",
]

MOVERS = 3  # patients that move a difference most
_Result = TypeVar("_Result")


def compare_networks(
    scored: Scored, line: Comparison, scores: pd.DataFrame | None = None, column: str = "dsc"
) -> Difference:
    """Compute the difference of a comparison by `dainet.compare.analysis`, also from a part of the scores.

    A network with a single seed borrows the spread of the networks of the first comparison; after a first wave of
    one seed each, folds are the sample, or in a single fold its patients.
    """
    scores = scored.scores if scores is None else scores
    first, second = (fold_scores(scores, name, column) for name in (line.first, line.second))
    seeds = [min(len(fold) for fold in network) for network in (first, second)]
    if min(seeds) > 1:
        return difference(first, second)
    lending = [fold_scores(scores, name, column) for name in lenders(scored)]
    if all(len(fold) == 1 for network in lending for fold in network):
        return fold_difference(first, second) if len(first) > 1 else patient_difference(first[0], second[0])
    return difference(first, second, spread_of(*lending))


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
    """Return the comparisons that can have a verdict; where all are exploratory, the first one."""
    lines = comparisons_of(scored)
    return [line for line in lines if line.role != "exploratory"] or lines[:1]


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


def interval_text(low: float, high: float) -> str:
    """Write an interval in points: "+0.10 to +0.50"."""
    return f"{low:+.2f} to {high:+.2f}"
