"""The report of `prepare.py check`: what was found, what is missing, problems that stop a run, and suspicions."""

from __future__ import annotations

import re
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from dainet.data.check import Report, check_source, report_text
from dainet.data.phantoms.abdomen import write_abdomen_phantoms
from dainet.data.phantoms.cardiac import write_cardiac_phantoms
from dainet.settings import DataSettings
from tests.helpers import REPOSITORY
from tests.helpers.formats import load_nifti, nnunet, save_nifti, transunet
from tests.helpers.samples import discs

PREPARE = REPOSITORY / "data_scripts" / "prepare.py"
SIZES = ["case_id", "split", "slices", "height", "width"]
FACTS = [*SIZES, "spacing_mm", "orientation", "sliced_along", "lowest", "highest"]
PHASES = ("ED", "ES")


def gt_of(folder: Path, frame: str) -> Path:
    """The label file of a frame of a patient in raw ACDC."""
    return folder / f"{folder.name}_frame{int(frame):02d}_gt.nii.gz"


def check(folder: Path, dataset: str = "acdc", **values: object) -> Report:
    return check_source(DataSettings.model_validate({"dataset": dataset, "source": str(folder)} | values))


@pytest.fixture(scope="module")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hearts")
    write_cardiac_phantoms(folder, 3)
    return folder


@pytest.fixture
def cardiac(hearts: Path, tmp_path: Path) -> Path:
    """Phantoms of patients 1 (trains), 2 and 3 (test), to be changed; the folder with the patients."""
    return shutil.copytree(hearts, tmp_path / "hearts") / "training"


def save_custom(folder: Path, cases: dict[str, np.ndarray], labels: dict[str, np.ndarray], **options: Any) -> None:
    """nnU-Net data from images and labels [D, H, W] by name."""
    nnunet(folder, names=())
    for name, image in cases.items():
        save_nifti(folder / "imagesTr" / f"{name}_0000.nii.gz", image, **options)
        save_nifti(folder / "labelsTr" / f"{name}.nii.gz", labels[name], **options)


def test_cardiac_phantoms(hearts: Path) -> None:
    report = check(hearts)
    assert report.format.startswith("raw ACDC")
    assert report.split == "mtunet"
    assert report.normalization == "minmax"
    assert list(report.cases) == [*FACTS, "RV", "Myo", "LV"]
    assert list(report.cases["case_id"]) == [f"patient00{i}_{phase}" for i in (1, 2, 3) for phase in ("ED", "ES")]
    assert list(report.cases["split"]) == ["train"] * 2 + ["test"] * 4
    assert {kind: len(absent) for kind, absent in report.missing.items()} == {"train": 69, "valid": 10, "test": 18}
    assert report.problems == ()
    assert report.suspicions == ()
    assert set(report.cases["sliced_along"]) == {"z"}
    assert report.label_evidence == ()
    assert [picture.case_id for picture in report.pictures] == list(report.cases["case_id"])


def test_a_line_says_what_the_file_holds(hearts: Path) -> None:
    path = next(hearts.rglob("patient001_frame01_gt.nii.gz"))
    label, line = load_nifti(path), check(hearts).cases.iloc[0]
    width, height, slices = label.shape
    assert (line["slices"], line["height"], line["width"]) == (slices, height, width)
    assert line["spacing_mm"] == " x ".join(f"{edge:.2f}" for edge in reversed(label.header.get_zooms()))
    assert [line[name] for name in ("RV", "Myo", "LV")] == np.bincount(np.asarray(label.dataobj).ravel())[1:].tolist()


def test_pictures_show_the_slice_with_most_foreground(hearts: Path) -> None:
    picture = check(hearts).pictures[0]
    label = np.asarray(load_nifti(next(hearts.rglob("patient001_frame01_gt.nii.gz"))).dataobj).T
    fullest = max(plane.astype(bool).mean() for plane in label)
    assert picture.image.shape == picture.label.shape == (128, 128)
    assert (picture.label > 0).mean() == pytest.approx(fullest, rel=0.05)
    assert picture.image.min() >= 0
    assert picture.image.max() <= 1


def test_one_single_case(cardiac: Path) -> None:
    for patient in ("patient002", "patient003"):
        shutil.rmtree(cardiac / patient)
    for path in cardiac.rglob("*frame01*"):
        path.unlink()
    report = check(cardiac)
    assert list(report.cases["case_id"]) == ["patient001_ES"]
    assert len(report.pictures) == 1
    assert len(report.problems) == 1
    assert "patient001 ED" in report.problems[0]
    assert len(report.missing["train"]) == 69
    assert len(report.missing["test"]) == 20


def test_nothing_readable(cardiac: Path) -> None:
    for path in cardiac.rglob("*.nii.gz"):
        path.write_bytes(b"")
    report = check(cardiac)
    assert len(report.cases) == 0
    assert report.pictures == ()
    assert len(report.problems) == 6
    assert "split mtunet: 0 volumes readable" in report_text(report)


def test_a_copy_of_transunet(tmp_path: Path) -> None:
    transunet(tmp_path)
    report = check(tmp_path, "synapse")
    assert list(report.cases["case_id"]) == ["case0001", "case0005"]
    assert list(report.cases["split"]) == [
        "test",
        "train",
    ]
    assert report.normalization == "window"
    assert report.split == "carved"
    assert report.problems == ()
    assert any("liver" in sentence.lower() for sentence in report.label_evidence)
    assert (report.cases["lowest"] >= -125).all()
    assert set(report.cases["spacing_mm"]) == {"unknown"}
    assert any("spacing" in line for line in report.suspicions)
    assert not any("windowed" in line for line in report.suspicions)  # as this format always is
    assert "labels: liver" in report_text(report).lower()


def test_a_label_order_that_does_not_fit_is_the_only_problem(tmp_path: Path) -> None:
    transunet(tmp_path)
    report = check(tmp_path, "synapse", label_order="samed")
    assert len(report.problems) == 1
    assert "data.label_order=samed" in report.problems[0]
    assert len(report.cases) == 0  # every organ would be counted under a wrong name


def test_custom_data(tmp_path: Path) -> None:
    nnunet(tmp_path, names=("a", "b", "c"))
    report = check(tmp_path, "custom")
    assert list(report.cases) == [*FACTS, "core", "ring", "rim"]
    assert report.split == "spread"
    assert list(report.cases["split"]) == ["train", "train", "test"]
    assert report.missing == {"train": [], "valid": [], "test": []}
    assert report.problems == report.suspicions == ()
    assert "train: 2 volumes, no patient absent" in report_text(report)


def test_cases_outside_the_split_are_read_too(tmp_path: Path) -> None:
    nnunet(tmp_path / "data", names=("a", "b", "c"))
    (tmp_path / "mine.csv").write_text("patient,split\na,train\nb,test\nz,test\n")
    report = check(tmp_path / "data", "custom", split=str(tmp_path / "mine.csv"))
    assert list(report.cases["split"]) == ["train", "test", "none"]
    assert report.missing["test"] == ["z"]
    text = report_text(report)
    assert "test: 1 volumes, absent patients: z" in text
    assert "in no split: 1 volumes" in text


# Suspicions: may be right, look at them


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


def test_swapped_ventricles_need_more_than_half_of_the_volumes(cardiac: Path) -> None:
    for path in cardiac.rglob("*frame01_gt.nii.gz"):  # half of them
        nifti = load_nifti(path)
        swapped = np.array([0, 3, 2, 1], np.uint8)[np.asarray(nifti.dataobj)]
        nibabel.Nifti1Image(swapped, nifti.affine).to_filename(path)
    assert check(cardiac).problems == ()


def test_a_windowed_btcv_volume(tmp_path: Path) -> None:
    write_abdomen_phantoms(tmp_path, 1, size=48)
    assert check(tmp_path, "synapse").suspicions == ()
    path = next(tmp_path.rglob("img0001.nii.gz"))
    nifti = load_nifti(path)
    nibabel.Nifti1Image(np.clip(np.asarray(nifti.dataobj), -125, 275), nifti.affine).to_filename(path)
    (suspicion,) = check(tmp_path, "synapse").suspicions
    assert re.match("case0001: .*-200 HU", suspicion)


# Problems: would spoil a run


def test_the_same_image_in_two_splits(cardiac: Path) -> None:
    for name in ("frame01.nii.gz", "frame01_gt.nii.gz"):
        shutil.copy(cardiac / "patient001" / f"patient001_{name}", cardiac / "patient002" / f"patient002_{name}")
    report = check(cardiac)
    (problem,) = report.problems
    assert re.match(r"patient001_ED \(train\) and patient002_ED \(test\) .*split", problem)
    assert ["patient002" in line and "LV" in line for line in report.suspicions] == [True]  # its ED is a stranger's


def test_the_same_image_outside_the_split_is_only_odd(tmp_path: Path) -> None:
    two_names(tmp_path / "data")
    (tmp_path / "mine.csv").write_text("patient,split\na,train\n")
    report = check(tmp_path / "data", "custom", split=str(tmp_path / "mine.csv"))
    assert report.problems == ()
    (suspicion,) = report.suspicions
    assert re.match("a and b .*same image", suspicion)


def test_swapped_ventricles(cardiac: Path) -> None:
    for path in cardiac.rglob("*_gt.nii.gz"):
        nifti = load_nifti(path)
        swapped = np.array([0, 3, 2, 1], np.uint8)[np.asarray(nifti.dataobj)]
        nibabel.Nifti1Image(swapped, nifti.affine).to_filename(path)
    report = check(cardiac)
    assert len(report.problems) == 1
    assert re.search("RV and LV.*1 = RV, 2 = Myo, 3 = LV", report.problems[0])
    assert "100%" in report.problems[0]
    assert report_text(report).endswith("1 problem(s) that would spoil a run, 0 suspicion(s)")


def test_the_text_mentions_everything(cardiac: Path) -> None:
    (cardiac / "patient003" / "Info.cfg").unlink()
    path = next(cardiac.rglob("patient002_frame01_gt.nii.gz"))
    nifti = load_nifti(path)
    label = np.asarray(nifti.dataobj)
    nibabel.Nifti1Image(np.where(label == 1, 0, label).astype(np.uint8), nifti.affine).to_filename(path)
    text = report_text(check(cardiac))
    for words in (
        "format: raw ACDC",
        "spacing_mm",
        "split mtunet: 4 volumes readable",
        "  train: 2 volumes, absent patients: patient004, patient005, patient006, patient007, patient010 and 64 more",
        "  valid: 0 volumes, absent patients: patient019",
        "  test: 2 volumes, absent patients: patient003",
        "suspicious: patient002_ED: no RV",
        "PROBLEM: patient003: Info.cfg is missing",
        "1 problem(s) that would spoil a run, 1 suspicion(s)",
    ):
        assert words in text, words


def test_prepare_check_writes_the_table_and_the_pictures(
    hearts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare.py", "check", "--dataset", "acdc", "--source", str(hearts), "--output", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PREPARE), run_name="__main__")
    assert ended.value.code == 0
    assert "0 problem(s)" in capsys.readouterr().out
    assert (tmp_path / "out" / "cases.csv").read_text().count("\n") == 7
    sheet = np.asarray(Image.open(tmp_path / "out" / "sheet.png").convert("RGB"))
    assert min(sheet.shape[:2]) > 100
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100


def disc_cases(shape: tuple[int, int, int] = (6, 40, 36)) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Images and labels of the cases a to e."""
    pairs = {name: discs(seed, shape) for seed, name in enumerate("abcde")}
    return {name: image for name, (image, _) in pairs.items()}, {name: label for name, (_, label) in pairs.items()}


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
