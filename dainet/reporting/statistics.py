"""Means, spreads and differences, with patients and seeds as the statistical units."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from dainet.errors import InputError

__all__ = ["folds_interval", "paired_differences", "patient_means", "seeded_interval", "summarize"]

# The ends of an interval then deviate by about 0.01 standard errors from those of infinitely many resamples (10,000:
# 0.03): enough for one printed decimal of DSC in percent, not for two.
_RESAMPLES = 100_000


def summarize(scores: pd.DataFrame) -> pd.DataFrame:
    """Compute mean and spread over seeds of every network, class and policy.

    Within a seed: mean over cases per class, then the mean over classes as class "mean" (docs/protocol.md#1.5).

    Args:
        scores: rows per case: model, seed, case_id, class, policy, dsc (0..1), hd95_vox, hd95_mm.

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


def patient_means(
    scores: pd.DataFrame, model: str, measure: Literal["dsc", "hd95_vox"] = "dsc", class_name: str = "mean"
) -> pd.DataFrame:
    """Compute a network's mean score of every test patient: one row per seed and one column per patient.

    Args:
        scores: per case, of one policy, with the columns model, seed, patient, class and the measure.
        model: name of the network.
        measure: "dsc" is returned in percent.
        class_name: one class, or "mean" over all.
    """
    chosen = scores[scores["model"] == model]
    if class_name != "mean":
        chosen = chosen[chosen["class"] == class_name]
    return chosen.groupby(["seed", "patient"])[measure].mean().unstack("patient") * (100 if measure == "dsc" else 1)


def paired_differences(
    scores: pd.DataFrame,
    first: str,
    second: str,
    measure: Literal["dsc", "hd95_vox"] = "dsc",
    class_name: str = "mean",
) -> dict[str, str | int | float]:
    """Compute the mean score of one network minus that of another, paired by test patient, with a 95 % interval.

    A patient's value is the mean over phases, classes and seeds. The bootstrap therefore resamples patients, but not
    seeds; `seeded_interval` resamples both. A patient without a value for one of the networks is left out: strict
    scores have none where label and prediction both lack the class.

    Args:
        scores, measure, class_name: as for `patient_means`.
        first: name of a network.
        second: name of the network that is subtracted.

    Returns:
        comparison, patients (those compared), difference, low and high (points of DSC in percent, or voxels), and the
        two-sided p of Wilcoxon's signed-rank test.

    Raises:
        InputError: the networks were not scored on the same patients, or fewer than two have a value for both.
    """
    values = {name: patient_means(scores, name, measure, class_name).mean() for name in (first, second)}
    alone = sorted(set(values[first].index) ^ set(values[second].index))
    if alone:
        raise InputError(
            f"{', '.join(alone)}: scored for only one of {first} and {second}; expected scores of the same patients"
        )
    per_patient = pd.DataFrame(values).dropna()
    if len(per_patient) < 2:
        raise InputError(
            f"{first} and {second} can be compared on {class_name} in {len(per_patient)} of {len(values[first])} "
            "patients, because the others lack the class or were not scored; expected at least two"
        )
    difference = (per_patient[first] - per_patient[second]).to_numpy()
    low, high = seeded_interval(difference[None], np.zeros((1, len(difference))))
    return {
        "comparison": f"{first} - {second}",
        "patients": len(difference),
        "difference": float(difference.mean()),
        "low": low,
        "high": high,
        "p (Wilcoxon)": float(stats.wilcoxon(difference).pvalue) if difference.any() else 1.0,
    }


def seeded_interval(first: np.ndarray, second: np.ndarray, resamples: int = _RESAMPLES) -> tuple[float, float]:
    """Compute a 95 % percentile-bootstrap interval of the mean difference over patients and each network's seeds.

    The spread of n seeds is underestimated by the factor sqrt((n - 1) / n), and the luck of a training in a patient
    enters twice. So with few seeds the interval is too narrow where trainings differ much, and too wide where they do
    not (docs/claims.md#when-a-claim-counts-as-supported). Where a patient has no value for some seeds of a network
    (NaN), the mean of that patient's other seeds stands in; a patient without any value for one of the networks is left
    out.

    Args:
        first: scores [seeds, patients], as `patient_means` gives.
        second: scores [seeds, patients] of the same patients in the same order; seeds may differ in number.
        resamples: fewer suffice where many intervals are counted, as in simulations.

    Raises:
        InputError: no patient has a value for both networks.
    """
    scored = ~(np.isnan(first).all(axis=0) | np.isnan(second).all(axis=0))
    if not scored.any():
        raise InputError("no patient has a score for both networks; expected at least one")
    patients = _resamples(np.count_nonzero(scored), 0, resamples)
    means = []
    for stream, scores in enumerate((first[:, scored], second[:, scored]), start=1):
        complete = np.where(np.isnan(scores), np.nanmean(scores, axis=0), scores)
        means.append(((complete @ patients) * _resamples(len(complete), stream, resamples)).sum(axis=0))
    low, high = np.quantile(means[0] - means[1], (0.025, 0.975))
    return float(low), float(high)


def folds_interval(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], resamples: int = 10_000
) -> tuple[float, float]:
    """Compute the interval of `seeded_interval` for the mean over the patients of several folds.

    Patients are resampled within their fold, and so are each network's seeds, which are other trainings there.

    Args:
        first: per fold scores [seeds, patients], without NaN.
        second: of the same patients in the same order.
        resamples: see `seeded_interval`.
    """
    total, drawn = sum(scores.shape[1] for scores in first), np.zeros(resamples)
    for fold, pair in enumerate(zip(first, second, strict=True)):
        patients = _draw(pair[0].shape[1], 3 * fold, resamples)
        for sign, stream, scores in ((1, 1, pair[0]), (-1, 2, pair[1])):
            seeds = _draw(len(scores), 3 * fold + stream, resamples)
            drawn += sign * scores.shape[1] / total * ((scores @ patients) * seeds).sum(axis=0)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


@lru_cache(maxsize=6)  # drawing takes ten times as long as the interval, and every comparison needs the same
def _resamples(count: int, stream: int, resamples: int) -> np.ndarray:
    return _draw(count, stream, resamples)


def _draw(count: int, stream: int, resamples: int) -> np.ndarray:
    """Draw how often each of `count` units is in a resample, as shares [count, resamples]; streams are independent."""
    random = np.random.default_rng([stream, 0])
    drawn = random.multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.ascontiguousarray(drawn.T) / count
