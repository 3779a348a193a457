"""How much of a kidney is given the other side: hand-made volumes, and a plan that was trained small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dainet.compare.run import results_folder
from dainet.compare.scores import Scored
from dainet.errors import InputError
from study.sides import compare_sides, write_sides

NAMES = ("liver", "right kidney", "left kidney", "spleen")


def kidneys() -> np.ndarray:
    """A volume with 8 voxels of the right kidney (class 2) and 8 of the left one (class 3)."""
    label = np.zeros((2, 8, 8), int)
    label[:, :2, :2], label[:, :2, 6:] = 2, 3
    return label


def test_kidneys_that_changed_sides_are_right_as_one_class() -> None:
    label = kidneys()
    exchanged = np.where(label == 2, 3, np.where(label == 3, 2, 0))
    [row] = compare_sides(exchanged, label, NAMES)
    assert row == {"sides": "right kidney and left kidney", "dsc": 0, "dsc_as_one": 1, "exchanged": 1}
    [row] = compare_sides(label, label, NAMES)
    assert (row["dsc"], row["dsc_as_one"], row["exchanged"]) == (1, 1, 0)


def test_missed_voxels_and_other_organs_are_not_exchanged() -> None:
    label = kidneys()
    predicted = label.copy()
    predicted[0, :2, :2], predicted[1, :2, 6:], predicted[:, 4:, :] = 3, 0, 4
    [row] = compare_sides(predicted, label, NAMES)
    right, left = 2 * 4 / (4 + 8), 2 * 4 / (8 + 8)  # 4 of 8 right voxels are called left, 4 of 8 left ones missed
    assert row["dsc"] == pytest.approx((right + left) / 2)
    assert row["dsc_as_one"] == pytest.approx(2 * 12 / (12 + 16))
    assert row["exchanged"] == 4 / 16


def test_without_a_labeled_kidney_nothing_is_known() -> None:
    [row] = compare_sides(kidneys(), np.zeros((2, 8, 8), int), NAMES)
    assert np.isnan([row["dsc"], row["dsc_as_one"], row["exchanged"]]).all()
    assert list(compare_sides(kidneys(), kidneys(), ("RV", "Myo", "LV"))) == []


def test_every_training_of_a_plan_gets_a_row_per_test_case(trained: Scored, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = results_folder(trained.plan)
    with pytest.raises(InputError, match="no two of its classes"):
        write_sides(trained, {}, folder)
    monkeypatch.setattr("study.sides.sided_pairs", lambda _: [("RV", "LV")])
    write_sides(trained, {}, folder)
    table, where = pd.read_csv(folder / "sides.csv"), ["model", "fold", "seed", "case_id"]
    assert not table.duplicated(where).any()
    pd.testing.assert_frame_equal(
        table[where].sort_values(where, ignore_index=True),
        trained.scores[where].drop_duplicates().sort_values(where, ignore_index=True),
    )
    assert (table["exchanged"] <= 1 - table["dsc"] + 1e-3).all()
