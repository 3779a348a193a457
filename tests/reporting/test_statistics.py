import math

import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame
from scipy import stats

from dainet.reporting.statistics import paired_differences, summarize
from tests.helpers.samples import scores


def test_summary_is_mean_over_cases_then_classes_then_seeds() -> None:
    summary = summarize(scores(seeds=(0, 1))).set_index("class")
    assert summary.loc["RV", "dsc"] == pytest.approx(100 * (0.85 + 0.83) / 2)
    assert summary.loc["mean", "dsc"] == pytest.approx(100 * (0.75 + 0.73) / 2)
    assert summary.loc["mean", "dsc_std"] == pytest.approx(2 / math.sqrt(2))
    assert summary.loc["mean", "seeds"] == 2
    assert math.isnan(summary.loc["mean", "hd95_mm"])


def test_a_single_seed_has_no_spread() -> None:
    assert summarize(scores())["dsc_std"].isna().all()


def two_networks(shift: np.ndarray | list[float]) -> DataFrame:
    """Network b is better by `shift[i]` in patient i, whose difficulty varies far more."""
    lines = []
    for number, step in enumerate(shift):
        for model, value in (("a", 0.0), ("b", step)):
            base = {"patient": f"p{number}", "model": model, "seed": 0, "class": "LV", "policy": "strict"}
            lines.append(base | {"dsc": 0.3 + 0.05 * number + value})
    return pd.DataFrame(lines)


def test_paired_differences_are_within_patients() -> None:
    shift = np.array([0.01, 0.03, 0.02, 0.02, 0.01, 0.03])
    found = paired_differences(two_networks(shift), "b", "a")
    assert (found["patients"], found["difference"]) == (6, pytest.approx(2.0))
    low, high = float(found["low"]), float(found["high"])
    assert 1 <= low < 2 < high <= 3  # although patients differ by 25 points
    assert found["p (Wilcoxon)"] == stats.wilcoxon(shift).pvalue


def test_equal_networks_do_not_differ() -> None:
    found = paired_differences(two_networks([0.0] * 4), "b", "a")
    assert found["difference"] == found["low"] == found["high"] == 0
    assert found["p (Wilcoxon)"] == 1


def test_other_patients_are_refused() -> None:
    frame = two_networks([0.1, 0.1])
    with pytest.raises(ValueError, match="same patients"):
        paired_differences(frame[~((frame["model"] == "a") & (frame["patient"] == "p1"))], "b", "a")
