"""Means, spreads and differences, with the patient and the seed as the units that they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

__all__ = ["paired_differences", "summarise"]


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds of every network, class and policy.

    Within a seed: mean over cases per class, then the mean over classes as class "mean" (PROTOCOL 1.5).

    Args:
        scores: per case: model, seed, case_id, class, policy, dsc (0..1), hd95_vox, hd95_mm.

    Returns:
        One row per model, policy and class: `seeds`, and mean and standard deviation over seeds (NaN for a single seed)
        of `dsc` (percent), `hd95_vox` and `hd95_mm`, as columns `dsc`, `dsc_std` and so on.
    """
    values = ["dsc", "hd95_vox", "hd95_mm"]
    per_class = (
        scores.assign(dsc=100 * scores["dsc"]).groupby(["model", "policy", "class", "seed"], sort=False)[values].mean()
    )
    overall = per_class.groupby(["model", "policy", "seed"], sort=False).mean().assign(**{"class": "mean"})
    stacked = pd.concat([per_class.reset_index(), overall.reset_index()])
    groups = stacked.groupby(["model", "policy", "class"], sort=False)
    spread = groups[values].std().add_suffix("_std")
    return groups[values].mean().join(spread).join(groups["seed"].nunique().rename("seeds")).reset_index()


def paired_differences(scores: pd.DataFrame, first: str, second: str) -> dict[str, str | int | float]:
    """Mean DSC of one network minus another's over the same test patients, with a 95 % bootstrap interval.

    A patient's value is the mean over phases, classes and seeds, so the interval is about other patients, not about
    other seeds.

    Args:
        scores: as for `summarise`, of one policy, with the column patient.
        first: network.
        second: network that is subtracted.

    Returns:
        comparison, patients, difference, low and high (points of DSC in percent), and the two-sided p of Wilcoxon's
        signed-rank test.

    Raises:
        ValueError: the networks were not scored on the same patients, or on fewer than two.
    """
    per_patient = 100 * scores.groupby(["model", "patient"])["dsc"].mean().unstack("model")[[first, second]]
    if per_patient.isna().any(axis=None) or len(per_patient) < 2:
        raise ValueError(f"{first} and {second} need scores of the same patients, at least two; got {len(per_patient)}")
    difference = (per_patient[first] - per_patient[second]).to_numpy()
    interval = stats.bootstrap((difference,), np.mean, method="percentile", rng=0).confidence_interval
    return {
        "comparison": f"{first} - {second}",
        "patients": len(difference),
        "difference": float(difference.mean()),
        "low": float(interval.low),
        "high": float(interval.high),
        "p (Wilcoxon)": float(stats.wilcoxon(difference).pvalue) if difference.any() else 1.0,
    }
