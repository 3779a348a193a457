"""ACDC in every circulating format is read back as it was written."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from dainet.data.check import check_source
from dainet.data.prepared import run_prepared
from dainet.data.volume import DataError
from dainet.settings import DataSettings
from tests.helpers.formats import (
    acdc_patient,
    case_ids,
    mtunet,
    nnunet,
    save_nifti,
    save_npz,
    short_axis,
    source,
    ssl4mis_slices,
)
from tests.helpers.samples import discs


def test_raw_acdc(tmp_path: Path) -> None:
    acdc_patient(tmp_path / "training" / "patient001")
    acdc_patient(tmp_path / "testing" / "patient101")
    data = source(tmp_path)
    assert case_ids(data) == ["patient001_ED", "patient001_ES", "patient101_ED", "patient101_ES"]
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
    assert case_ids(data) == ["patient001_ED", "patient001_ES", "patient002_ED", "patient002_ES"]
    trained, tested = data.read(data.cases[0]), data.read(data.cases[2])
    np.testing.assert_array_equal(trained.image, tested.image[::-1])  # 10 slices and more, in the right order
    assert (trained.image.min(), trained.image.max()) == (-1, 1)
    prepared = run_prepared(DataSettings(source=str(tmp_path)), 32)
    assert prepared.images.min() > -0.2
    assert prepared.images.max() < 1.2


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


def test_acdc_without_compression(tmp_path: Path) -> None:
    folder = acdc_patient(tmp_path / "patient001")
    for path in folder.glob("*frame*.nii.gz"):
        nibabel.load(path).to_filename(path.with_suffix(""))
        path.unlink()
    data = source(tmp_path)
    assert not data.problems
    assert [case.files[1].name for case in data.cases] == ["patient001_frame01_gt.nii", "patient001_frame09_gt.nii"]
    np.testing.assert_array_equal(data.read(data.cases[0]).label, discs(1)[1])


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
