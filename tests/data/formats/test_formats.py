"""What all formats share: the way up, classes, and folders that are of another form."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from dainet.data.volume import DataError
from tests.helpers.formats import acdc_patient, case_ids, nnunet, source, transunet
from tests.helpers.samples import discs


@pytest.mark.parametrize("axes", ["RAS", "LAS", "LPS", "RPI"])
def test_nifti_is_turned_upright_by_its_affine(tmp_path: Path, axes: str) -> None:
    nnunet(tmp_path, axes=axes)
    data = source(tmp_path, "custom")
    volume = data.read(data.cases[0])
    flips = tuple(i for i, (found, wanted) in enumerate(zip(reversed(axes), "SPL", strict=True)) if found != wanted)
    np.testing.assert_array_equal(volume.label, np.flip(discs(0)[1], flips))
    assert (volume.orientation, volume.view, volume.sliced_along) == (axes, "LPS", "z")
    assert volume.spacing_mm == pytest.approx((10, 1.4, 1.5))


def test_swapped_axes_are_turned_too(tmp_path: Path) -> None:
    nnunet(tmp_path)
    image, label = discs(5)
    affine = np.array([[0, 0, -1.5, 0], [-1.4, 0, 0, 0], [0, 10.0, 0, 0], [0, 0, 0, 1]])  # x is P, y is S, z is L
    for name, array in (("imagesTr/a_0000.nii.gz", image), ("labelsTr/a.nii.gz", label)):
        nibabel.Nifti1Image(array.transpose(1, 0, 2), affine).to_filename(tmp_path / name)
    data = source(tmp_path, "custom")
    volume = data.read(data.cases[0])
    np.testing.assert_array_equal(volume.label, label)
    assert volume.spacing_mm == pytest.approx((10, 1.4, 1.5))


def test_nnunet_brings_its_own_classes(tmp_path: Path) -> None:
    nnunet(tmp_path, colors={"ring": "#00ff00"})
    data = source(tmp_path, "custom")
    assert case_ids(data) == ["a", "b", "c"]
    assert data.classes.names == ("core", "ring", "rim")
    assert data.classes.colors[1] == "#00ff00"
    assert len(set(data.classes.colors)) == 3
    assert not data.is_ct


def test_nnunet_of_the_first_version(tmp_path: Path) -> None:
    nnunet(tmp_path, labels={"0": "background", "1": "liver", "2": "tumour"}, channel_names={}, modality={"0": "CT"})
    data = source(tmp_path, "custom")
    assert data.classes.names == ("liver", "tumour")
    assert data.is_ct


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": {"background": 0, "a": 2}}, "dataset.json.*label"),
        ({"labels": {"background": 0, "whole": [1, 2], "part": 2}}, "dataset.json"),
        ({"channel_names": {"0": "T1", "1": "T2"}}, "dataset.json.*T1 T2.*one"),
        ({"colors": {"core": "redish"}}, "redish.*color"),
        ({"labels": 3}, "dataset.json"),
    ],
)
def test_wrong_descriptions(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    nnunet(tmp_path, **changes)
    with pytest.raises(DataError, match=words):
        source(tmp_path, "custom")


def test_a_folder_of_another_data_set_says_which(tmp_path: Path) -> None:
    transunet(tmp_path, numbers=(5,))
    with pytest.raises(DataError, match=r"acdc.*TransUNet.*data.dataset.*synapse"):
        source(tmp_path)


def test_two_forms_of_one_data_set_are_refused(h5_source: Path) -> None:
    acdc_patient(h5_source / "training" / "patient001")
    with pytest.raises(DataError, match=r"raw ACDC.*SSL4MIS.*data.source"):
        source(h5_source)


def test_classes_without_a_color_get_those_of_okabe_and_ito_and_then_others(tmp_path: Path) -> None:
    nnunet(tmp_path, labels={"background": 0} | {f"class {i}": i for i in range(1, 10)}, colors={"class 2": "red"})
    colors = source(tmp_path, "custom").classes.colors
    assert colors[:3] == ("#d55e00", "#ff0000", "#0072b2")
    assert len(set(colors)) == 9
