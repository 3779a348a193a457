"""What the mean difference of two networks hides: few patients, single trainings, the patients of validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from dainet.compare.analysis import difference

__all__ = ["robustness", "training_effect_size"]

_TRIMMED = 0.2  # share of patients left out at either end


def robustness(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """Describe first - second in other ways than by its mean and its bootstrap.

    Args:
        first, second: scores [seeds, patients] of the same patients in the same order, with two seeds or more each.

    Returns:
        low_t and high_t (95 %, patients and trainings, see `dainet.compare.analysis.difference`), median and trimmed
        (20 % at either end) of the patients' differences of means over seeds, and d (see `training_effect_size`).
    """
    patients = first.mean(axis=0) - second.mean(axis=0)
    low, high = difference([first], [second]).interval()
    line = {"low_t": float(low), "high_t": float(high), "median": float(np.median(patients))}
    return line | {
        "trimmed": float(stats.trim_mean(patients, _TRIMMED)),
        "d": training_effect_size(first, second),
    }


def training_effect_size(first: np.ndarray, second: np.ndarray) -> float:
    """Compute Cohen's d of the paired differences between one training of each network.

    The standard deviation over patients is that of single trainings (root mean square over all pairs of trainings), so
    d does not grow with the number of seeds, as that of means over seeds does.

    Args:
        first, second: scores [seeds, patients], as of `robustness`.
    """
    pairs = first[:, None] - second[None]  # [seeds of first, seeds of second, patients]
    return float(pairs.mean() / np.sqrt(pairs.var(axis=-1, ddof=1).mean()))
