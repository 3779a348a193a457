"""The report of `prepare.py check`: what was found, what is missing, problems that stop a run, and suspicions."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from dainet.data.check import report_text
from tests.helpers import REPOSITORY
from tests.helpers.checks import check
from tests.helpers.formats import load_nifti, nnunet, transunet

PREPARE = REPOSITORY / "data_scripts" / "prepare.py"
SIZES = ["case_id", "split", "slices", "height", "width"]
FACTS = [*SIZES, "spacing_mm", "orientation", "sliced_along", "lowest", "highest"]


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


def test_only_problems_of_the_split_would_spoil_a_run(tmp_path: Path) -> None:
    nnunet(tmp_path / "data", names=("a", "b", "c", "d"))
    (tmp_path / "data" / "labelsTr" / "c.nii.gz").unlink()
    (tmp_path / "data" / "imagesTr" / "d_0000.nii.gz").write_bytes(b"")
    (tmp_path / "mine.csv").write_text("patient,split\na,train\nb,test\n")
    report = check(tmp_path / "data", "custom", split=str(tmp_path / "mine.csv"))
    assert report.problems == ()
    assert [sum(f"{name}: " in line for line in report.suspicions) for name in "cd"] == [1, 1]
    (tmp_path / "mine.csv").write_text("patient,split\na,train\nb,test\nc,test\nd,test\n")
    assert len(check(tmp_path / "data", "custom", split=str(tmp_path / "mine.csv")).problems) == 2


def test_swapped_ventricles_need_more_than_half_of_the_volumes(cardiac: Path) -> None:
    for path in cardiac.rglob("*frame01_gt.nii.gz"):  # half of them
        nifti = load_nifti(path)
        swapped = np.array([0, 3, 2, 1], np.uint8)[np.asarray(nifti.dataobj)]
        nibabel.Nifti1Image(swapped, nifti.affine).to_filename(path)
    assert check(cardiac).problems == ()


def test_the_same_image_in_two_splits(cardiac: Path) -> None:
    for name in ("frame01.nii.gz", "frame01_gt.nii.gz"):
        shutil.copy(cardiac / "patient001" / f"patient001_{name}", cardiac / "patient002" / f"patient002_{name}")
    report = check(cardiac)
    (problem,) = report.problems
    assert re.match(r"patient001_ED \(train\) and patient002_ED \(test\) .*split", problem)
    assert ["patient002" in line and "LV" in line for line in report.suspicions] == [True]  # its ED is a stranger's


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


def test_prepare_check_refuses_a_folder_that_cannot_be_before_it_reads(
    hearts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    command = ["prepare.py", "check", "--dataset", "acdc", "--source", str(hearts), "--output", str(tmp_path / "file")]
    monkeypatch.setattr("sys.argv", command)
    monkeypatch.setattr("dainet.data.check.check_source", None)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PREPARE), run_name="__main__")
    assert "file" in str(ended.value.code)
