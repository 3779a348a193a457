"""Every circulating format of the data is read back as it was written."""

from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pytest

from dainet.data.check import check_source
from dainet.data.phantoms.abdomen import write_abdomen_phantoms
from dainet.data.prepared import run_prepared
from dainet.data.sources import Source
from dainet.data.volume import DataError
from dainet.settings import DataSettings
from tests.helpers.formats import (
    abdomen,
    acdc_patient,
    mtunet,
    nnunet,
    save_nifti,
    save_npz,
    short_axis,
    source,
    ssl4mis_slices,
    transunet,
)
from tests.helpers.samples import discs


def ids(data: Source) -> list[str]:
    return [case.case_id for case in data.cases]


def test_raw_acdc(tmp_path: Path) -> None:
    acdc_patient(tmp_path / "training" / "patient001")
    acdc_patient(tmp_path / "testing" / "patient101")
    data = source(tmp_path)
    assert ids(data) == ["patient001_ED", "patient001_ES", "patient101_ED", "patient101_ES"]
    assert data.cases[0].group == "DCM"
    assert not data.problems
    assert not data.is_ct
    volume = data.read(data.cases[0])
    image, label = discs(1)
    np.testing.assert_array_equal(volume.image, image)  # (x, y, z) came back as [D, H, W]
    np.testing.assert_array_equal(volume.label, label)
    assert volume.spacing_mm == pytest.approx((10, 1.4, 1.5))  # z, y, x


def test_frames_come_from_info_cfg_even_when_ed_is_later(tmp_path: Path) -> None:
    acdc_patient(tmp_path / "patient090", ed=11, es=4)
    assert [case.files[0].name[11:18] for case in source(tmp_path).cases] == ["frame11", "frame04"]


def test_of_ssl4mis_frames_the_lower_one_is_ed_in_every_patient(h5_source: Path) -> None:
    frames = {case.case_id: case.files[0].stem[-2:] for case in source(h5_source).cases}
    assert {frames[f"{patient}_ED"] for patient in ("patient001", "patient090")} == {"01"}
    assert {frames[f"{patient}_ES"] for patient in ("patient001", "patient090")} == {"09"}


def test_ssl4mis_volumes_have_no_spacing(h5_source: Path) -> None:
    data = source(h5_source)
    assert data.read(data.cases[0]).spacing_mm is None


def test_ssl4mis_slices_are_stacked_by_number(tmp_path: Path) -> None:
    ssl4mis_slices(tmp_path, 1)
    data = source(tmp_path)
    volume = data.read(data.cases[0])
    image, label = discs(101, (11, 40, 36))
    np.testing.assert_allclose(volume.image, image + np.arange(1, 12)[:, None, None], rtol=1e-6)  # 10 after 9
    np.testing.assert_array_equal(volume.label, label)


def test_ssl4mis_volumes_win_over_the_same_slices(h5_source: Path) -> None:
    ssl4mis_slices(h5_source / "slices", 1)
    data = source(h5_source)
    assert data.format.name.startswith("SSL4MIS volumes")
    assert len(data.cases) == 12


def test_mtunet(tmp_path: Path) -> None:
    mtunet(tmp_path)
    data = source(tmp_path)
    assert ids(data) == ["patient001_ED", "patient001_ES", "patient002_ED", "patient002_ES"]
    trained, tested = data.read(data.cases[0]), data.read(data.cases[2])
    np.testing.assert_array_equal(trained.image, tested.image[::-1])  # 10 slices and more, in the right order
    assert (trained.image.min(), trained.image.max()) == (-1, 1)
    prepared = run_prepared(DataSettings(source=str(tmp_path)), 32)
    assert prepared.images.min() > -0.2
    assert prepared.images.max() < 1.2


def test_raw_btcv(tmp_path: Path) -> None:
    write_abdomen_phantoms(tmp_path, 3, size=48)
    data = source(tmp_path, "synapse")
    assert ids(data) == ["case0001", "case0002", "case0003"]
    assert data.is_ct
    volume = data.read(data.cases[0])
    image, label = abdomen(1)
    np.testing.assert_array_equal(volume.image, image)  # turned upright by the affine
    np.testing.assert_array_equal(volume.label, label)  # 13 organs became 8
    assert data.label_evidence[0] == "btcv"


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


def test_an_oblique_heart_is_cut_along_its_short_axis(tmp_path: Path) -> None:
    """By the axis nearest to the head it was cut along rows, into 40 slices of 3 x 36 px."""
    nnunet(tmp_path)
    image, label = discs(5)
    affine = short_axis((-0.7, 0.6, -0.4))
    for name, array in (("imagesTr/a_0000.nii.gz", image), ("labelsTr/a.nii.gz", label)):
        nibabel.Nifti1Image(array.T, affine).to_filename(tmp_path / name)
    volume = (data := source(tmp_path, "custom")).read(data.cases[0])
    assert sorted(volume.label.shape) == [3, 36, 40]
    assert len(volume.label) == 3
    assert volume.spacing_mm == pytest.approx((8, 1.4, 1.4))
    assert volume.sliced_along == "z"
    other = (data := source(tmp_path, "custom", slice_axis="superior")).read(data.cases[0])
    assert (len(other.label), other.sliced_along) == (40, "y")
    prepared = run_prepared(DataSettings(dataset="custom", source=str(tmp_path)), 32)
    assert list(prepared.about["turns"]) == ["a"]
    assert "slices -z" in prepared.about["turns"]["a"]
    assert len(prepared.cases) == 9
    kept = run_prepared(DataSettings(dataset="custom", source=str(tmp_path), slice_axis="superior"), 32)
    assert kept.cases.groupby("case_id").size().to_dict() == {"a": 40, "b": 3, "c": 3}


def test_a_store_of_an_unclear_axis_is_not_opened_when_it_is_asked_for_again(tmp_path: Path) -> None:
    """With the axis named, the store has the key that every version gives it; without, that key must not fit."""
    nnunet(tmp_path)
    for name in ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"):
        array = (discs(0)[0] > 0).astype(np.uint8) if "labels" in name else np.random.default_rng(0).random((3, 40, 36))
        nibabel.Nifti1Image(np.resize(array, (30, 40, 36)).T, np.eye(4)).to_filename(tmp_path / name)
    settings = DataSettings(dataset="custom", source=str(tmp_path), slice_axis="superior")
    run_prepared(settings, 32)
    with pytest.raises(DataError, match=r"a: .*x 36 x 1 mm, y 40 x 1 mm, z 30 x 1 mm.*data.slice_axis") as caught:
        run_prepared(settings.model_copy(update={"slice_axis": "auto"}), 32)
    assert check_source(settings.model_copy(update={"slice_axis": "auto"})).problems == (str(caught.value),)


@pytest.mark.parametrize(
    ("spacing", "fits"), [((1.4, 1.4, 10), False), ((1.4, 10, 1.5), False), ((1.2, 1.4, 1.5), True)]
)
def test_raw_acdc_whose_slices_do_not_lie_along_z_is_refused(
    tmp_path: Path, spacing: tuple[float, float, float], fits: bool
) -> None:
    folder = acdc_patient(tmp_path / "patient001")
    for array, name in zip(discs(1), ("patient001_frame01", "patient001_frame01_gt"), strict=True):
        save_nifti(folder / f"{name}.nii.gz", array, spacing)
    problems = check_source(DataSettings(source=str(tmp_path))).problems
    assert [problem[:13] for problem in problems] == ["patient001_ED"] * (not fits)
    assert all("10" in problem and "1.4" in problem for problem in problems)


def test_transunet_is_read_back_to_hounsfield_units(tmp_path: Path) -> None:
    transunet(tmp_path)
    data = source(tmp_path, "synapse")
    assert ids(data) == ["case0001", "case0005"]
    for case, number in zip(data.cases, (1, 5), strict=True):
        volume = data.read(case)
        image, label = abdomen(number)
        np.testing.assert_allclose(volume.image, np.clip(image, -125, 275), atol=1e-3)
        np.testing.assert_array_equal(volume.label, label)


@pytest.mark.parametrize("order", ["transunet", "cascade", "samed", "btcv"])
def test_the_label_order_of_a_copy_is_detected(tmp_path: Path, order: str) -> None:
    transunet(tmp_path, order)
    data = source(tmp_path, "synapse")
    assert data.label_evidence[0] == order
    np.testing.assert_array_equal(data.read(data.cases[0]).label, abdomen(1)[1])


def test_a_contradicting_label_order_is_an_error_with_evidence(tmp_path: Path) -> None:
    transunet(tmp_path, "transunet")
    data = source(tmp_path, "synapse", label_order="cascade")
    with pytest.raises(DataError, match=r"(?i)liver"):
        data.read(data.cases[0])


@pytest.mark.parametrize(("low", "high", "fits"), [(-0.4, 1.4, True), (-0.6, 1.0, False), (0.0, 1.6, False)])
def test_copies_may_overshoot_their_window_a_little(tmp_path: Path, low: float, high: float, fits: bool) -> None:
    transunet(tmp_path)
    with h5py.File(tmp_path / "test_vol_h5" / "case0001.npy.h5", "a") as file:
        file["image"][0, 0, :2] = low, high
    data = source(tmp_path, "synapse")
    if fits:
        assert data.read(data.cases[0]).image[0, 0, :2] == pytest.approx([400 * low - 125, 400 * high - 125])
    else:
        with pytest.raises(DataError, match=r"case0001.*0 to 1"):
            data.read(data.cases[0])


def test_wrongly_scaled_copies_are_refused(tmp_path: Path) -> None:
    transunet(tmp_path)
    with h5py.File(tmp_path / "test_vol_h5" / "case0001.npy.h5", "a") as file:
        file["image"][...] *= 255
    data = source(tmp_path, "synapse")
    with pytest.raises(DataError, match=r"case0001.*255.*0 to 1"):
        data.read(data.cases[0])


def test_nnunet_brings_its_own_classes(tmp_path: Path) -> None:
    nnunet(tmp_path, colors={"ring": "#00ff00"})
    data = source(tmp_path, "custom")
    assert ids(data) == ["a", "b", "c"]
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


@pytest.mark.parametrize(("number", "missed"), [("0060", True), ("0061", False), ("0080", False), ("0081", True)])
def test_of_btcv_only_61_to_80_have_no_labels(tmp_path: Path, number: str, missed: bool) -> None:
    write_abdomen_phantoms(tmp_path, 1, size=48)
    save_nifti(tmp_path / "img" / f"img{number}.nii.gz", discs(0)[0])
    problems = source(tmp_path, "synapse").problems
    assert [(problem.patient, f"label{number}" in str(problem)) for problem in problems] == [
        (f"case{number}", True)
    ] * missed


def test_acdc_without_compression(tmp_path: Path) -> None:
    folder = acdc_patient(tmp_path / "patient001")
    for path in folder.glob("*frame*.nii.gz"):
        nibabel.load(path).to_filename(path.with_suffix(""))
        path.unlink()
    data = source(tmp_path)
    assert not data.problems
    assert [case.files[1].name for case in data.cases] == ["patient001_frame01_gt.nii", "patient001_frame09_gt.nii"]
    np.testing.assert_array_equal(data.read(data.cases[0]).label, discs(1)[1])


def test_classes_without_a_color_get_those_of_okabe_and_ito_and_then_others(tmp_path: Path) -> None:
    nnunet(tmp_path, labels={"background": 0} | {f"class {i}": i for i in range(1, 10)}, colors={"class 2": "red"})
    colors = source(tmp_path, "custom").classes.colors
    assert colors[:3] == ("#d55e00", "#ff0000", "#0072b2")
    assert len(set(colors)) == 9


def test_a_numbered_slice_that_is_missing_is_named_whether_they_count_from_0_or_1(tmp_path: Path) -> None:
    for first, patient in ((0, 5), (1, 7)):
        for i in range(4):
            if i != 1:
                image, label = np.ones((8, 8)), np.zeros((8, 8), np.uint8)
                path = tmp_path / "train_npz" / f"case000{patient}_slice{first + i:03d}.npz"
                save_npz(path, image=image, label=label)
    problems = source(tmp_path, "synapse").problems
    assert [problem.patient for problem in problems] == ["case0005", "case0007"]
    assert ["slice 1 " in str(problems[0]), "slice 2 " in str(problems[1])] == [True, True]
    assert ["is 3" in str(problems[0]), "is 4" in str(problems[1])] == [True, True]


def test_btcvs_unlabeled_test_images_are_left_alone(tmp_path: Path) -> None:
    write_abdomen_phantoms(tmp_path, 1, size=48)
    save_nifti(tmp_path / "img" / "img0061.nii.gz", discs(0)[0])
    assert ids(source(tmp_path, "synapse")) == ["case0001"]
