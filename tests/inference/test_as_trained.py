"""How a scan lies next to the training of a bundle, and what makes it another kind of scan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from nibabel import orientations

from dainet.data.formats.orientation import display_turn
from dainet.data.formats.supported import FORMATS
from dainet.data.scans import Scan
from dainet.data.volume import DataError
from dainet.inference.as_trained import file_axis, looks_like_ct, misfits, training_turn, turned, turned_back
from dainet.inference.bundle import read_card
from dainet.inference.card import Card
from tests.helpers.scans import oblique_affine
from tests.inference.test_predict import AFFINE, VOXELS, in_memory


def trained_on(**facts: Any) -> Card:
    """The card of a network trained on MR without spacing or orientation, or with other facts about its training."""
    return read_card("acdc").model_copy(update={"spacing_mm": None, "orientation": "", **facts})


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "LAS", "LPI", "ALI", "LIP", "PIR"])
def test_slices_that_lie_as_in_the_training_stay_as_they_are(orientation: str) -> None:
    edges = np.diag([1.5, 1.4, 9.0, 1.0])
    affine = orientations.inv_ornt_aff(orientations.axcodes2ornt(orientation), VOXELS.shape) @ edges
    turn = training_turn(in_memory(affine=affine), trained_on(orientation=orientation))
    np.testing.assert_array_equal(turned(VOXELS, turn), VOXELS.T)


def test_scans_are_turned_as_the_formats_that_turn_them() -> None:
    """Also planes between the views, whose nearest axes say something else."""
    custom = trained_on(orientation="AIL", format=next(f.name for f in FORMATS if f.turned))
    affine = oblique_affine(degrees=(90.0, 0.0, 40.0))
    np.testing.assert_array_equal(training_turn(in_memory(affine=affine), custom), display_turn(affine, 2))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_where_the_training_gives_no_orientation_slices_keep_the_order_of_the_file(axis: int) -> None:
    voxels = np.moveaxis(VOXELS, 2, axis)
    affine = AFFINE[:, [*np.insert([0, 1], axis, 2), 3]]
    turn = training_turn(in_memory(voxels, affine), trained_on())
    np.testing.assert_array_equal(turned(voxels, turn), VOXELS.T)
    np.testing.assert_array_equal(turned_back(VOXELS.T, turn), voxels)


@pytest.mark.parametrize("orientation", ["", "LPS"])
def test_a_training_cut_along_superior_cuts_even_voxels_there_unless_asked_otherwise(orientation: str) -> None:
    voxels, affine = np.zeros((8, 8, 8)), np.eye(4)[:, [2, 0, 1, 3]]  # the file's x leads up
    cut = trained_on().settings.data.model_copy(update={"slice_axis": "superior"})
    settings = trained_on().settings.model_copy(update={"data": cut})
    card = trained_on(settings=settings, orientation=orientation)
    scan = in_memory(voxels, affine)
    assert file_axis(training_turn(scan, card))[0] == "x"
    assert file_axis(training_turn(scan, card, "z"))[0] == "z"
    with pytest.raises(DataError, match="axis"):
        training_turn(scan, trained_on())


@pytest.mark.parametrize("trained", ["x", "y", "z"])
def test_a_training_cut_along_an_axis_of_its_files_asks_where_another_plane_seems_cut(trained: str) -> None:
    cut = trained_on().settings.data.model_copy(update={"slice_axis": trained})
    settings = trained_on().settings.model_copy(update={"data": cut})
    custom = next(f.name for f in FORMATS if f.turned)
    card = trained_on(settings=settings, orientation="LPS", format=custom)  # its slices follow each other to the head
    few_up, few_front = in_memory(np.zeros((60, 50, 20)), np.eye(4)), in_memory(np.zeros((60, 20, 50)), np.eye(4))
    assert file_axis(training_turn(few_up, card))[0] == "z"
    with pytest.raises(DataError, match=r"along y .*LIP.*LPS.*--slice-axis"):
        training_turn(few_front, card)
    assert file_axis(training_turn(few_front, card, "z"))[0] == "z"
    assert file_axis(training_turn(few_front, card, "y"))[0] == "y"
    assert file_axis(training_turn(few_front, trained_on(orientation="LPS", format=custom)))[0] == "y"


SPACING = ((7.0, 1.2, 1.2), (10.0, 1.8, 1.8))  # lowest and highest (z, y, x)
AIR = np.where(VOXELS < 100, -1000, VOXELS)


def with_air(voxels: int, value: int = -501) -> np.ndarray:
    """The volume of 7200 voxels, so many of which have a value near the limit of air."""
    changed = VOXELS.copy()
    changed.flat[:voxels] = value
    return changed


FITS: dict[str, tuple[Scan, bool, int]] = {  # a scan, whether the training was CT, and the number of misfits
    "MR": (in_memory(), False, 0),
    "MR by its tag": (in_memory(AIR, modality="MR"), False, 0),
    "CT for MR": (in_memory(AIR), False, 1),
    "CT by its tag for MR": (in_memory(modality="CT"), False, 1),
    "CT": (in_memory(AIR), True, 0),
    "MR for CT": (in_memory(), True, 1),
    "MR by its tag for CT": (in_memory(AIR, modality="MR"), True, 1),
    "ultrasound": (in_memory(modality="US"), False, 1),
    "a hundredth of air": (in_memory(with_air(72)), True, 0),
    "less air": (in_memory(with_air(71)), True, 1),
    "at the limit of air": (in_memory(with_air(72, -500)), True, 1),
    "exactly twice": (replace(in_memory(), edges_mm=(3.6, 0.6, 20.0)), False, 0),
    "exactly half": (replace(in_memory(), edges_mm=(0.6, 3.6, 3.5)), False, 0),
    "within twice": (in_memory(affine=oblique_affine((3.5, 0.65, 19.0))), False, 0),
    "thick slices": (in_memory(affine=oblique_affine((1.4, 1.5, 21.0))), False, 1),
    "small pixels": (in_memory(affine=oblique_affine((0.5, 0.5, 8.0))), False, 2),
    "a picture": (Scan("slice", VOXELS[:, :, :1], None, None, "", "picture", None), False, 0),
}


@pytest.mark.parametrize(("scan", "is_ct", "count"), FITS.values(), ids=FITS)
def test_what_differs_far_from_the_training_is_listed(scan: Scan, is_ct: bool, count: int) -> None:
    card = trained_on(is_ct=is_ct, spacing_mm=SPACING)
    assert len(misfits(scan, training_turn(scan, card), card)) == count


@pytest.mark.parametrize("modality", ["MR", "PT", "US", "CT"])
def test_of_custom_data_that_is_no_ct_only_ct_is_known_to_be_another_modality(modality: str) -> None:
    scan, card = in_memory(modality=modality), trained_on(dataset="custom")
    assert len(misfits(scan, training_turn(scan, card), card)) == (modality == "CT")
    assert len(misfits(scan, training_turn(scan, trained_on()), trained_on())) == (modality != "MR")
    ct = trained_on(dataset="custom", is_ct=True)
    assert len(misfits(scan, training_turn(scan, ct), ct)) == (modality != "CT")


@pytest.mark.parametrize(("modality", "by_tag"), [("CT", True), ("MR", False), ("", None)])
def test_the_tag_of_a_modality_goes_before_air(modality: str, by_tag: bool | None) -> None:
    for voxels, has_air in ((AIR, True), (VOXELS, False)):
        assert looks_like_ct(in_memory(voxels, modality=modality)) is (has_air if by_tag is None else by_tag)


@pytest.mark.parametrize("is_ct", [True, False])
def test_the_message_about_the_modality_names_both(is_ct: bool) -> None:
    (by_tag,) = misfits(in_memory(modality="US"), training_turn(in_memory(), trained_on()), trained_on(is_ct=is_ct))
    assert by_tag.startswith("found US")
    assert by_tag.endswith("CT" if is_ct else "MR")
    scan = in_memory() if is_ct else in_memory(with_air(144))
    (by_air,) = misfits(scan, training_turn(scan, trained_on()), trained_on(is_ct=is_ct))
    assert by_air.startswith("found no CT (0.0%" if is_ct else "found CT (2.0%")
    assert by_air.endswith("CT" if is_ct else "MR")


def test_the_message_about_spacing_names_both_numbers() -> None:
    scan = in_memory(affine=oblique_affine((1.4, 1.5, 21.0)))
    (sentence,) = misfits(scan, training_turn(scan, trained_on()), trained_on(spacing_mm=SPACING))
    assert {"21", "7", "10"} <= set(sentence.replace(";", "").split())
