"""The facts of a card about the data of a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dainet.data.prepared import run_prepared
from dainet.inference.facts import data_facts, scores
from dainet.settings import Settings, load_settings
from tests.helpers.formats import nnunet


def of_custom_data(folder: Path) -> Settings:
    return load_settings("tour", {"data.dataset": "custom", "data.source": str(folder), "segmentation.image_size": 32})


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAI"])
def test_turned_slices_point_where_radiologists_expect_them(tmp_path: Path, axes: str) -> None:
    nnunet(tmp_path / "data", axes=axes)
    settings = of_custom_data(tmp_path / "data")
    facts = data_facts(settings, run_prepared(settings.data, 32))
    assert facts["orientation"] == "LPS"
    assert facts["spacing_mm"] == ((10.0, 1.4, 1.5),) * 2
    assert (facts["phantoms"], facts["citation"], facts["is_ct"]) == (False, "", False)


def test_scores_are_means_over_patients_with_an_interval_that_holds_the_mean() -> None:
    values = np.linspace(0.5, 0.9, 10)
    lines = [
        {
            "model": "unet",
            "seed": 0,
            "patient": f"p{i}",
            "class": name,
            "policy": policy,
            "dsc": share * (value - shift),
        }
        for i, value in enumerate(values)
        for name, shift in (("RV", 0.0), ("LV", 0.1))
        for policy, share in (("strict", 1), ("peer", 0))
    ]
    right, left, mean = scores(pd.DataFrame(lines), "unet", ("RV", "LV"))
    assert (right.name, left.name, mean.name) == ("RV", "LV", "mean")
    assert (right.dsc, left.dsc, mean.dsc) == (70.0, 60.0, 65.0)
    half = 1.96 * 100 * values.std() / np.sqrt(len(values))
    assert right.low == pytest.approx(70 - half, abs=1)
    assert right.high == pytest.approx(70 + half, abs=1)


def test_a_class_that_nobody_has_has_no_score() -> None:
    lines = [
        {"model": "unet", "seed": 0, "patient": f"p{i}", "class": name, "policy": "strict", "dsc": value}
        for i in range(3)
        for name, value in (("RV", np.nan), ("LV", 0.5))
    ]
    absent, left, mean = scores(pd.DataFrame(lines), "unet", ("RV", "LV"))
    assert absent.dsc is absent.low is absent.high is None
    assert (left.dsc, left.low, left.high) == (mean.dsc, mean.low, mean.high) == (50.0, 50.0, 50.0)
