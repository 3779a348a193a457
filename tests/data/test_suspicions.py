"""What `prepare.py check` finds suspicious: it may be right, and does not stop a run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dainet.data.check import report_text
from dainet.data.phantoms.abdomen import write_abdomen_phantoms
from tests.helpers.checks import check, disc_cases, gt_of, save_custom
from tests.helpers.formats import load_nifti, nnunet, save_nifti
from tests.helpers.samples import discs

PHASES = ("ED", "ES")


def test_a_left_ventricle_that_is_larger_at_es_is_suspicious(cardiac: Path) -> None:
    info = cardiac / "patient002" / "Info.cfg"
    lines = dict(line.split(": ") for line in info.read_text().splitlines())
    lines["ED"], lines["ES"] = lines["ES"], lines["ED"]
    assert not [line for line in check(cardiac).suspicions if "LV" in line and "ED" in line]
    info.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    (found,) = [line for line in check(cardiac).suspicions if "ED" in line]
    label = {phase: np.asarray(load_nifti(gt_of(cardiac / "patient002", lines[phase])).dataobj) for phase in PHASES}
    sizes = [str((label[phase] == 3).sum()) for phase in PHASES]
    assert found.startswith("patient002")
    assert all(size in found for size in sizes)


def absent_class(folder: Path) -> None:
    image, label = discs(0)
    save_custom(folder, {"a": image}, {"a": np.where(label == 2, 0, label)})


def lost_spacing(folder: Path) -> None:
    image, label = discs(0)
    save_custom(folder, {"a": image}, {"a": label}, spacing=(1.0, 1.0, 1.0))


def size_outlier(folder: Path) -> None:
    pairs = {name: discs(seed) for seed, name in enumerate("abcde")}
    labels = {name: label for name, (_, label) in pairs.items()}
    most = (np.arange(3)[:, None, None] > 0) | (np.arange(36) > 12)  # of slices and columns
    labels["e"] = np.where((labels["e"] == 1) & most, 0, labels["e"])
    save_custom(folder, {name: image for name, (image, _) in pairs.items()}, labels)


def two_names(folder: Path) -> None:
    image, label = discs(0)
    save_custom(folder, {"a": image, "b": image}, {"a": label, "b": label})
    (folder.parent / "mine.csv").write_text("patient,split\na,train\nb,train\n")


def windowed_ct(folder: Path) -> None:
    nnunet(folder, names=("a",), channel_names={"0": "CT"})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (absent_class, "a: no ring"),
        (lost_spacing, "a: .*1 x 1 x 1 mm"),
        (two_names, "a and b .*same image"),
        (windowed_ct, "a: .*-200 HU"),
    ],
)
def test_suspicions(make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    make(tmp_path / "data")
    split = tmp_path / "mine.csv"
    report = check(tmp_path / "data", "custom", split=str(split) if split.exists() else "")
    (suspicion,) = report.suspicions
    assert re.match(words, suspicion)
    assert report.problems == ()
    assert f"suspicious: {suspicion}" in report_text(report)


def test_an_outlier_in_size_needs_five_cases(tmp_path: Path) -> None:
    size_outlier(tmp_path)
    suspicions = check(tmp_path, "custom").suspicions
    assert len(suspicions) == 1
    assert suspicions[0].startswith("e: ")
    assert "voxels of core" in suspicions[0]
    for path in (tmp_path / "imagesTr" / "a_0000.nii.gz", tmp_path / "labelsTr" / "a.nii.gz"):
        path.unlink()
    assert check(tmp_path, "custom").suspicions == ()


@pytest.mark.parametrize(("voxels", "odd"), [(9, True), (10, False), (160, False), (161, True)])
def test_four_times_the_median_is_not_odd_yet(tmp_path: Path, voxels: int, odd: bool) -> None:
    images, labels = dict[str, np.ndarray](), dict[str, np.ndarray]()
    for seed, (name, count) in enumerate(zip("abcde", (40, 40, 40, 40, voxels), strict=True)):
        images[name] = discs(seed)[0]
        labels[name] = (np.arange(images[name].size) < count).astype(np.uint8).reshape(images[name].shape)
    save_custom(tmp_path, images, labels)
    found = [line for line in check(tmp_path, "custom").suspicions if "voxels of core" in line]
    assert [(line[:2], "40" in line, str(voxels) in line) for line in found] == [("e:", True, True)] * odd


def test_a_case_without_the_class_is_named_and_does_not_count_for_the_median(tmp_path: Path) -> None:
    images, labels = dict[str, np.ndarray](), dict[str, np.ndarray]()
    for seed, (name, count) in enumerate(zip("abcdef", (40, 40, 40, 40, 161, 0), strict=True)):
        images[name] = discs(seed)[0]
        labels[name] = (np.arange(images[name].size) < count).astype(np.uint8).reshape(images[name].shape)
    save_custom(tmp_path, images, labels)
    first, second = [line for line in check(tmp_path, "custom").suspicions if "core" in line]
    assert first == "f: no core"
    assert second.startswith("e: 161")
    (tmp_path / "imagesTr" / "a_0000.nii.gz").unlink()
    (tmp_path / "labelsTr" / "a.nii.gz").unlink()
    assert [line for line in check(tmp_path, "custom").suspicions if "core" in line] == ["f: no core"]


def test_phases_with_as_many_voxels_are_not_taken_for_exchanged(cardiac: Path) -> None:
    frames = dict(line.split(": ") for line in (cardiac / "patient002" / "Info.cfg").read_text().splitlines())
    shutil.copy(gt_of(cardiac / "patient002", frames["ED"]), gt_of(cardiac / "patient002", frames["ES"]))
    report = check(cardiac)
    assert report.suspicions == ()
    assert set(report.cases["orientation"]) == {
        "".join(nibabel.aff2axcodes(load_nifti(next(cardiac.rglob("*_gt.nii.gz"))).affine))
    }


@pytest.mark.parametrize(("lowest", "windowed"), [(-200, False), (-199, True)])
def test_a_ct_volume_without_air_is_suspicious(tmp_path: Path, lowest: int, windowed: bool) -> None:
    nnunet(tmp_path, names=(), channel_names={"0": "CT"})
    image, label = discs(0)
    image[0, 0, 0] = lowest
    save_nifti(tmp_path / "imagesTr" / "a_0000.nii.gz", image)
    save_nifti(tmp_path / "labelsTr" / "a.nii.gz", label)
    report = check(tmp_path, "custom")
    assert len(report.suspicions) == windowed
    assert (report.cases["lowest"].item(), report.cases["highest"].item()) == (lowest, round(float(image.max()), 2))


def test_a_windowed_btcv_volume(tmp_path: Path) -> None:
    write_abdomen_phantoms(tmp_path, 1, size=48)
    assert check(tmp_path, "synapse").suspicions == ()
    path = next(tmp_path.rglob("img0001.nii.gz"))
    nifti = load_nifti(path)
    nibabel.Nifti1Image(np.clip(np.asarray(nifti.dataobj), -125, 275), nifti.affine).to_filename(path)
    (suspicion,) = check(tmp_path, "synapse").suspicions
    assert re.match("case0001: .*-200 HU", suspicion)


def test_the_same_image_outside_the_split_is_only_odd(tmp_path: Path) -> None:
    two_names(tmp_path / "data")
    (tmp_path / "mine.csv").write_text("patient,split\na,train\n")
    report = check(tmp_path / "data", "custom", split=str(tmp_path / "mine.csv"))
    assert report.problems == ()
    (suspicion,) = report.suspicions
    assert re.match("a and b .*same image", suspicion)


def test_numbers_of_slices_and_rows_that_look_exchanged(tmp_path: Path) -> None:
    images, labels = disc_cases()
    save_custom(tmp_path, images, labels)
    assert check(tmp_path, "custom").suspicions == ()
    images["c"], labels["c"] = (np.moveaxis(stored["c"], 0, 1) for stored in (images, labels))
    save_custom(tmp_path, images, labels)
    (suspicion,) = check(tmp_path, "custom", slice_axis="superior").suspicions
    assert suspicion.startswith("c: 40 x 6 x 36 px")
    assert "6 x 40 x 36 px" in suspicion


def test_edges_that_look_exchanged(tmp_path: Path) -> None:
    images, labels = disc_cases()
    save_custom(tmp_path, images, labels)
    for path, array in (("imagesTr/e_0000.nii.gz", images["e"]), ("labelsTr/e.nii.gz", labels["e"])):
        save_nifti(tmp_path / path, array, spacing=(1.4, 10.0, 1.5))
    (suspicion,) = check(tmp_path, "custom", slice_axis="superior").suspicions
    assert suspicion.startswith("e: 1.4 x 10 x 1.5 mm")
    assert "10 x 1.4 x 1.5 mm" in suspicion


def test_pictures_may_be_wide_or_high(tmp_path: Path) -> None:
    images, labels = disc_cases((6, 40, 70))
    for stored in (images, labels):
        stored["b"] = np.moveaxis(stored["b"], 1, 2)
    save_custom(tmp_path, images, labels)
    assert check(tmp_path, "custom").suspicions == ()


def test_one_patient_on_two_sides_of_the_split(tmp_path: Path) -> None:
    nnunet(tmp_path / "one", names=("p1_visit1", "p1_visit2", "p2_visit1", "p3_visit1"))  # the third goes to test
    assert check(tmp_path / "one", "custom").suspicions == ()
    nnunet(tmp_path / "two", names=("p1_visit1", "p1_visit2", "p2_visit1", "p2_visit2"))
    (suspicion,) = check(tmp_path / "two", "custom").suspicions
    assert suspicion.startswith("p2_visit1 (test) and p2_visit2 (train)")


@pytest.mark.parametrize(("announced", "odd"), [(1, True), (2, False), (3, True), (None, False)])
def test_fewer_or_more_cases_than_announced(tmp_path: Path, announced: int | None, odd: bool) -> None:
    nnunet(tmp_path, names=("a", "b"), numTraining=announced)
    suspicions = check(tmp_path, "custom").suspicions
    assert [(str(announced) in line, "2" in line) for line in suspicions] == [(True, True)] * odd


def test_headers_that_give_two_spacings(tmp_path: Path) -> None:
    nnunet(tmp_path, names=("a", "b"))
    nifti = load_nifti(tmp_path / "imagesTr" / "b_0000.nii.gz")
    nifti.header["pixdim"][3] = 5.0
    nifti.set_sform(nifti.affine, code=1)
    nifti.to_filename(tmp_path / "imagesTr" / "b_0000.nii.gz")
    (suspicion,) = check(tmp_path, "custom").suspicions
    assert suspicion.startswith("b: ")
    assert "1.50 x 1.40 x 5.00" in suspicion
    assert "1.50 x 1.40 x 10.00" in suspicion


def test_a_volume_with_its_organs_upside_down(tmp_path: Path) -> None:
    nnunet(tmp_path, names=("a", "b"), labels={"background": 0, "Liver": 1, "Kidney_L": 2, "Kidney_R": 3})
    label = np.zeros((3, 40, 36), np.uint8)  # columns run to the left and rows to the back, as they are shown
    label[2, :20, :18], label[:, 25:, 25:30], label[:2, 25:, 5:10] = 1, 2, 3
    for name, stored in (("a", label), ("b", label[::-1])):
        save_nifti(tmp_path / "labelsTr" / f"{name}.nii.gz", stored, axes="LPS")
        save_nifti(tmp_path / "imagesTr" / f"{name}_0000.nii.gz", discs(len(name))[0] + stored, axes="LPS")
    (suspicion,) = [line for line in check(tmp_path, "custom").suspicions if "same image" not in line]
    assert suspicion.startswith("b: Liver lies 15 mm below Kidney_R")
