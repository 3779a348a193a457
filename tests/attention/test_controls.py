"""Control maps, which say nothing about their slice."""

import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame

from dainet import pipeline
from dainet.attention.controls import center_map, donor_rows, run_other_patient
from dainet.attention.stage import open_attention
from dainet.segmentation.slices import SliceData
from dainet.settings import Settings


def cases(volumes: list[tuple[str, str, str, int]]) -> DataFrame:
    """Build one row per slice from tuples (patient, phase, split, number of slices)."""
    lines = [
        {"patient": patient, "phase": phase, "split": split, "slice": i}
        for patient, phase, split, slices in volumes
        for i in range(slices)
    ]
    return pd.DataFrame(lines)


def test_the_center_of_an_odd_slice_is_its_brightest_pixel() -> None:
    expected = [[0, 1 - 0.5**0.5, 0], [1 - 0.5**0.5, 1, 1 - 0.5**0.5], [0, 1 - 0.5**0.5, 0]]
    np.testing.assert_allclose(center_map(3), expected, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 96])
def test_the_center_map_is_symmetric_and_from_0_to_1(size: int) -> None:
    found = center_map(size)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(found, found[::-1])
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert found[size // 2, size // 2] == found.max()


def test_donors_are_another_patient_of_the_same_split_and_phase_at_the_same_depth() -> None:
    table = cases(
        [
            *[("a", "ED", "train", 3), ("a", "ES", "train", 3), ("b", "ED", "test", 2), ("b", "ES", "test", 2)],
            *[("c", "ED", "train", 5), ("c", "ES", "train", 5), ("d", "ED", "test", 2), ("d", "ES", "test", 2)],
        ]
    )
    given = table.loc[donor_rows(table)].reset_index(drop=True)
    assert (given["patient"] != table["patient"]).all()
    assert given[["split", "phase"]].equals(table[["split", "phase"]])
    assert list(given["slice"][:3]) == [0, 2, 4]  # of five: first, middle, last
    assert list(given.loc[table["patient"] == "c", "slice"][:5]) == [0, 0, 1, 2, 2]


def test_patients_left_out_keep_their_own_maps_and_give_none() -> None:
    table = cases([("a", "", "train", 2), ("b", "", "train", 2), ("x", "", "left out", 2)])
    donors = donor_rows(table)
    assert list(donors) == [2, 3, 0, 1, 4, 5]


def test_a_donor_without_the_phase_gives_what_it_has() -> None:
    table = cases([("a", "ED", "train", 2), ("a", "ES", "train", 2), ("b", "ED", "train", 2)])
    assert list(donor_rows(table)) == [4, 5, 4, 5, 0, 1]


def test_a_split_with_a_single_patient_is_refused() -> None:
    with pytest.raises(ValueError, match=r"valid.*b\b"):
        donor_rows(cases([("a", "", "train", 1), ("c", "", "train", 1), ("b", "", "valid", 1)]))


def test_the_setting_replaces_the_maps_under_a_key_of_their_own(tiny: Settings) -> None:
    maps = {}
    for control in ("none", "constant"):
        attention = tiny.attention.model_copy(update={"control": control, "backbone": "pretrained"})
        maps[control] = pipeline.attention(tiny.model_copy(update={"attention": attention}))
    assert maps["none"].key != maps["constant"].key
    stored, grid = open_attention(maps["constant"])
    assert stored.shape == open_attention(maps["none"])[0].shape
    assert np.unique(stored) == np.float16(1 / (grid.grid[0] * grid.grid[1]))


def test_another_patients_maps_are_those_of_the_donor_rows(data: SliceData) -> None:
    table = cases([("a", "ED", "train", 18), ("b", "ED", "train", 18)])
    true, grid = open_attention(data.attention)
    given, other_grid = open_attention(run_other_patient(data.attention, table))
    np.testing.assert_array_equal(given, np.concatenate([true[18:], true[:18]]))
    assert other_grid == grid
