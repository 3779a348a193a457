"""Differences between networks, training by training, as texts that name what failed."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from dainet.reporting.statistics import paired_differences, patient_means, seeded_interval

__all__ = ["difference_table", "failed_trainings"]


def failed_trainings(scores: pd.DataFrame) -> pd.Series:
    """Return the classes, joined by commas, that a failed training found in no volume, by model and seed.

    Args:
        scores: per case, as `dainet.pipeline.scores` gives; the strict policy is looked at.
    """
    there = scores[scores["policy"] == "strict"]
    if "labeled_voxels" in there:  # the first study's scores have no counts; all its volumes show every class
        there = there[there["labeled_voxels"] > 0]  # a class may be in no test volume
    best = there.groupby(["model", "seed", "class"], sort=False)["dsc"].max()
    return best[best == 0].reset_index().groupby(["model", "seed"], sort=False)["class"].agg(", ".join)


def difference_table(scores: pd.DataFrame, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Compare pairs of networks over the same patients, for each seed alone and for all seeds together.

    Args:
        scores: per case, of the strict policy; both networks of a pair with the same seeds.
        pairs: the network, and the one that is subtracted.

    Returns:
        One row per pair; columns comparison, "seed 0" and so on, "all seeds" where there are several, and "failed
        trainings". A cell is the mean difference in points of DSC with its 95 % bootstrap interval: over patients for
        one seed, over patients and seeds for all.
    """
    failed = failed_trainings(scores)
    rows = [_compared(scores, first, second, failed) for first, second in pairs]
    return pd.DataFrame(rows or {"comparison": [], "failed trainings": []})


def _compared(scores: pd.DataFrame, first: str, second: str, failed: pd.Series) -> dict[str, str]:
    row = {"comparison": f"{first} - {second}"}
    seeds = sorted(scores.loc[scores["model"] == first, "seed"].unique())
    for seed in seeds:
        found = paired_differences(scores[scores["seed"] == seed], first, second)
        row[f"seed {seed}"] = _cell(found["difference"], found["low"], found["high"])
    if len(seeds) > 1:
        values = [patient_means(scores, name) for name in (first, second)]
        interval = seeded_interval(*(value.to_numpy() for value in values))
        row["all seeds"] = _cell((values[0].mean() - values[1].mean()).mean(), *interval)
    row["failed trainings"] = "; ".join(
        f"{model} seed {seed}: {names}" for (model, seed), names in failed.items() if model in (first, second)
    )
    return row


def _cell(difference: float | str, low: float | str, high: float | str) -> str:
    return f"{difference:+.1f} ({low:+.1f} to {high:+.1f})"
