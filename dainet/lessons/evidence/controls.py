"""Controls of real patients: what is left of a gain, on average, for the median patient, and without a few patients."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dainet.compare.analysis import difference
from dainet.reporting.statistics import patient_means

__all__ = ["control_table", "patient_gaps"]

_FEW = 2  # patients that are left out


def patient_gaps(scores: pd.DataFrame, first: str, others: Sequence[str]) -> pd.DataFrame:
    """Compute every patient's difference, first minus each other network, of means over trainings.

    Args:
        scores: per case, strict policy, see `dainet.lessons.evidence.read_scores`.
        first: name of a network.
        others: names of the networks that are subtracted.

    Returns:
        Points of DSC; rows patients, columns "first - other".
    """
    means = {name: patient_means(scores, name).mean() for name in (first, *others)}
    return pd.DataFrame({f"{first} - {name}": means[first] - means[name] for name in others})


def control_table(scores: pd.DataFrame, first: str, others: Sequence[str]) -> pd.DataFrame:
    """Describe the gaps of `patient_gaps`: text, one row per comparison.

    Columns: the mean, its 95 % interval (patients and trainings, t), the median patient, the mean without the two
    patients that gain most, and in how many patients the first network is ahead.
    """
    gaps, lines = patient_gaps(scores, first, others), []
    for name, (title, gap) in zip(others, gaps.items(), strict=True):
        networks = [[patient_means(scores, each).to_numpy()] for each in (first, name)]
        low, high = difference(networks[0], networks[1]).interval()
        line = {"comparison": title, "mean": f"{gap.mean():+.2f}", "95 %": f"{low:+.2f} to {high:+.2f}"}
        line |= {
            "median": f"{gap.median():+.2f}",
            "without two patients": f"{gap.nsmallest(len(gap) - _FEW).mean():+.2f}",
        }
        lines.append(line | {"ahead in": f"{(gap > 0).sum()} of {len(gap)}"})
    return pd.DataFrame(lines)
