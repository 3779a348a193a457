"""Folders close to nnU-Net's, as people hold them, and what their dataset.json says besides names of classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from dainet.data.check import check_source
from dainet.data.formats.dataset_json import read_description
from dainet.data.prepared import run_prepared
from dainet.data.volume import DataError
from dainet.settings import DataSettings
from tests.helpers.formats import load_nifti, nnunet, save_nifti, source
from tests.helpers.samples import discs

Names = Callable[[str], tuple[str, str]]  # name of a case -> its image and its label, without ending


def renamed(folder: Path, names: Names) -> dict[str, Any]:
    """Write three cases under other names; return the entry "training" of dataset.json."""
    nnunet(folder, ("1", "2", "3"))
    listed = []
    for i in "123":
        image, label = names(i)
        for before, after in ((f"imagesTr/{i}_0000", image), (f"labelsTr/{i}", label)):
            (folder / after).parent.mkdir(parents=True, exist_ok=True)
            (folder / f"{before}.nii.gz").rename(folder / f"{after}.nii.gz")
        listed.append({"image": f"./{image}.nii.gz", "label": f"./{label}.nii.gz"})
    for name in ("imagesTr", "labelsTr"):
        if not any((folder / name).iterdir()):
            (folder / name).rmdir()
    return {"training": listed}


def describe(folder: Path, **entries: object) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def as_written(folder: Path) -> list[str]:
    """Read every case, each of which must be what `nnunet` has written; return their names."""
    data = source(folder, "custom")
    assert not data.problems
    for seed, case in enumerate(data.cases):
        image, label = discs(seed)
        volume = data.read(case)
        np.testing.assert_array_equal(volume.image, image[:, ::-1, ::-1])
        np.testing.assert_array_equal(volume.label, label[:, ::-1, ::-1])
    return [case.case_id for case in data.cases]


UNLISTED: dict[str, tuple[Names, str]] = {
    "Decathlon": (lambda i: (f"imagesTr/heart_00{i}", f"labelsTr/heart_00{i}"), "heart_00{}"),
    "AMOS": (lambda i: (f"imagesTr/amos_000{i}", f"labelsTr/amos_000{i}"), "amos_000{}"),
    "MONAI's BTCV": (lambda i: (f"imagesTr/img000{i}", f"labelsTr/label000{i}"), "img000{}"),
    "LiTS": (lambda i: (f"imagesTr/volume-{i}", f"labelsTr/segmentation-{i}"), "volume-{}"),
    "plain folders": (lambda i: (f"images/p{i}_0000", f"labels/p{i}"), "p{}"),
    "plain folders, a word at the end": (lambda i: (f"images/p{i}_mr", f"labels/p{i}_mask"), "p{}_mr"),
    "numbers that end like a channel": (lambda i: (f"imagesTr/a{i}_0000", f"labelsTr/a{i}_0000"), "a{}_0000"),
}
LISTED: dict[str, tuple[Names, str]] = {
    "other folders": (lambda i: (f"scans/s{i}", f"masks/organs {i}"), "s{}"),
    "one folder for all": (lambda i: (f"all/s{i}", f"all/s{i}_seg"), "s{}"),
    "a folder for each patient": (lambda i: (f"case{i}/image", f"case{i}/label"), "case{}_image"),
    "usual folders, names of no kind": (lambda i: (f"imagesTr/{'xyz'[int(i) - 1]}", f"labelsTr/q{i}"), "{}"),
}


def test_a_frame_with_a_fourth_axis_is_the_volume(tmp_path: Path) -> None:
    nnunet(tmp_path)
    data = source(tmp_path, "custom")
    expected = [data.read(case) for case in data.cases]
    for path in tmp_path.rglob("*.nii.gz"):
        nifti = load_nifti(path)
        nibabel.Nifti1Image(np.asarray(nifti.dataobj)[..., None], nifti.affine).to_filename(path)
    for case, volume in zip(data.cases, expected, strict=True):
        found = data.read(case)
        np.testing.assert_array_equal(found.image, volume.image)
        np.testing.assert_array_equal(found.label, volume.label)
        assert found.spacing_mm == volume.spacing_mm


@pytest.mark.parametrize("kind", UNLISTED)
def test_images_and_labels_of_one_name_or_number_belong_together(kind: str, tmp_path: Path) -> None:
    names, expected = UNLISTED[kind]
    renamed(tmp_path, names)
    assert as_written(tmp_path) == [expected.format(i) for i in (1, 2, 3)]


@pytest.mark.parametrize("kind", LISTED)
@pytest.mark.parametrize("version", [1, 2])
def test_what_dataset_json_lists_belongs_together(kind: str, version: int, tmp_path: Path) -> None:
    names, expected = LISTED[kind]
    entries = renamed(tmp_path, names)
    if version == 2:
        pairs = enumerate(entries["training"])
        entries = {"dataset": {f"{i}": {"images": [pair["image"]], "label": pair["label"]} for i, pair in pairs}}
    describe(tmp_path, **entries)
    assert as_written(tmp_path) == [expected.format(i) for i in ("xyz" if expected == "{}" else "123")]


def test_the_list_counts_where_names_say_otherwise(tmp_path: Path) -> None:
    nnunet(tmp_path, ("a", "b"))
    describe(
        tmp_path, training=[{"image": f"imagesTr/{a}.nii.gz", "label": f"labelsTr/{b}.nii"} for a, b in ("ab", "ba")]
    )
    files = [[path.name for path in case.files] for case in source(tmp_path, "custom").cases]
    assert files == [["a_0000.nii.gz", "b.nii.gz"], ["b_0000.nii.gz", "a.nii.gz"]]


def test_a_list_of_more_than_is_there_harms_nothing(tmp_path: Path) -> None:
    """Nor does one that leaves _0000 out, as nnU-Net v1 writes it, or has the slashes of Windows."""
    nnunet(tmp_path)
    describe(tmp_path, training=[{"image": f"imagesTr\\{n}.nii.gz", "label": f"labelsTr\\{n}.nii.gz"} for n in "abcd"])
    data = source(tmp_path, "custom")
    assert [case.case_id for case in data.cases] == ["a", "b", "c"]
    assert not data.problems


@pytest.mark.parametrize(
    ("gone", "patient", "named"),
    [
        ("labelsTr/amos_0002.nii.gz", "amos_0002", "labelsTr/amos_0002.nii.gz"),
        ("imagesTr/amos_0002.nii.gz", "amos_0002", "imagesTr/amos_0002.nii.gz"),
    ],
)
def test_a_missing_file_is_named_as_the_others_are(gone: str, patient: str, named: str, tmp_path: Path) -> None:
    renamed(tmp_path, UNLISTED["AMOS"][0])
    (tmp_path / gone).unlink()
    (problem,) = source(tmp_path, "custom").problems
    assert (problem.patient, named in str(problem)) == (patient, True)


def test_a_second_channel_is_still_told_from_a_case(tmp_path: Path) -> None:
    nnunet(tmp_path, ("a_0001", "b"))
    save_nifti(tmp_path / "imagesTr" / "a_0001_0001.nii.gz", discs(0)[0])
    data = source(tmp_path, "custom")
    assert [case.case_id for case in data.cases] == ["a_0001", "b"]
    assert ["second channel" in str(problem) for problem in data.problems] == [True]


def test_names_that_nothing_joins_ask_for_a_list(tmp_path: Path) -> None:
    renamed(tmp_path, lambda i: (f"images/p{i}_t1", f"labels/p{i}_mask"))
    problems = [str(problem) for problem in source(tmp_path, "custom").problems]
    assert len(problems) == 6
    assert all(('"training"' in problem and "images/" in problem) or "labels/" in problem for problem in problems)


@pytest.mark.parametrize("label", ["labelsTr/seg1b", "labelsTr/seg4"])
def test_numbers_pair_nothing_where_names_differ_in_more(label: str, tmp_path: Path) -> None:
    renamed(tmp_path, lambda i: (f"imagesTr/img{i}", label if i == "1" else f"labelsTr/seg{i}"))
    data = source(tmp_path, "custom")
    paired = [] if label.endswith("b") else ["img2", "img3"]
    assert [case.case_id for case in data.cases] == paired
    assert len(data.problems) == 2 * (3 - len(paired))


@pytest.mark.parametrize(("ending", "kept"), [(".mhd", 0), (".GIPL", 0), (".png", 2)])
def test_volumes_of_another_kind_are_named_with_the_way_out(ending: str, kept: int, tmp_path: Path) -> None:
    """Whether all of them are, as `file_ending` allows, or some."""
    nnunet(tmp_path)
    for folder in ("imagesTr", "labelsTr"):
        for path in sorted((tmp_path / folder).iterdir())[kept:]:
            path.rename(path.with_name(path.name.replace(".nii.gz", ending)))
    settings = DataSettings(dataset="custom", source=str(tmp_path))
    problems = check_source(settings).problems
    assert len(problems) == 1
    assert [word in problems[0] for word in (f"{2 * (3 - kept)} files *{ending.lower()}", ".nii.gz")] == [True, True]
    with pytest.raises(DataError, match="SimpleITK"):
        run_prepared(settings, 32)


def converted(folder: Path, ending: str) -> None:
    """Store the same volumes in another kind of file, by ITK."""
    for path in sorted(folder.glob("*Tr/*.nii.gz")):
        sitk.WriteImage(sitk.ReadImage(str(path)), str(path).replace(".nii.gz", ending), useCompression=True)
        path.unlink()


@pytest.mark.parametrize("axes", ["LAS", "PIR"])
@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".NRRD"])
def test_nrrd_and_metaimage_are_prepared_as_nifti_is(ending: str, axes: str, tmp_path: Path) -> None:
    """nnU-Net's `file_ending` may be any of these; the header alone tells NIfTI's turn of the axes again."""
    nifti, other = tmp_path / "nifti", tmp_path / "other"
    for folder in (nifti, other):
        nnunet(folder, tuple("abcde"), axes)
    converted(other, ending)
    before, after = (run_prepared(DataSettings(dataset="custom", source=str(path)), 32) for path in (nifti, other))
    assert not check_source(DataSettings(dataset="custom", source=str(other))).problems
    np.testing.assert_array_equal(after.images, before.images)
    np.testing.assert_array_equal(after.labels, before.labels)
    spacing = [f"spacing_{axis}_mm" for axis in "zyx"]
    np.testing.assert_allclose(after.cases[spacing], before.cases[spacing], rtol=1e-6)  # NIfTI has float32
    assert list(after.cases["sha256"]) == list(before.cases["sha256"])
    assert after.about.get("turns") == before.about.get("turns")
    assert set(after.cases["file"]) == {f"{name}_0000{ending}" for name in "abcde"}
    assert after.result.key != before.result.key


def other_grid(folder: Path) -> None:
    image = sitk.ReadImage(str(folder / "labelsTr" / "b.nrrd"))
    image.SetOrigin((0.0, 0.0, 30.0))
    sitk.WriteImage(image, str(folder / "labelsTr" / "b.nrrd"))


def cut_short(folder: Path) -> None:
    path = folder / "imagesTr" / "b_0000.nrrd"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_label(folder: Path) -> None:
    (folder / "labelsTr" / "b.nrrd").unlink()


def twice(folder: Path) -> None:
    save_nifti(folder / "labelsTr" / "b.nii.gz", discs(1)[1])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (other_grid, ("b_0000.nrrd", "b.nrrd", "30.0 mm")),
        (cut_short, ("b_0000.nrrd", "fetch it again")),
        (no_label, ("labelsTr/b.nrrd is missing", "b_0000.nrrd")),
        (twice, ("labelsTr/b.nrrd", "labelsTr/b.nii.gz", "one label")),
    ],
)
def test_a_bad_case_among_nrrd_files_is_named(
    spoil: Callable[[Path], None], words: tuple[str, ...], tmp_path: Path
) -> None:
    nnunet(tmp_path)
    converted(tmp_path, ".nrrd")
    spoil(tmp_path)
    (problem,) = check_source(DataSettings(dataset="custom", source=str(tmp_path))).problems
    assert problem.startswith("b: ")
    assert all(word in problem for word in words), problem
    assert "\n" not in problem


# dataset.json


def mark(folder: Path, name: str, value: int) -> None:
    """Leave every second slice of a label without annotation."""
    path = folder / "labelsTr" / f"{name}.nii.gz"
    label = np.array(load_nifti(path).get_fdata(), np.uint8).T
    label[::2] = value
    save_nifti(path, label)


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "core": 1, "ring": 2, "rim": 3, "ignore": 4},
        {"0": "background", "1": "core", "2": "ring", "3": "rim", "4": "Ignore"},
        {"ignore": 255, "rim": 3, "core": 1, "ring": 2, "background": 0},
    ],
)
def test_voxels_that_nobody_annotated_are_no_class_and_refused_where_they_occur(
    labels: dict[str, Any], tmp_path: Path
) -> None:
    nnunet(tmp_path, tuple("abcdef"), labels=labels)
    value = 255 if 255 in labels.values() else 4
    mark(tmp_path, "b", value)
    settings = DataSettings(dataset="custom", source=str(tmp_path))
    report = check_source(settings)
    assert report.classes.names == ("core", "ring", "rim")
    assert list(report.cases["case_id"]) == list("acdef")
    (problem,) = report.problems
    assert problem.startswith("b ")
    assert f"({value})" in problem
    assert "2880 of 4320 voxels" in problem
    with pytest.raises(DataError, match="ignore"):
        run_prepared(settings, 32)
    split = tmp_path / "split.csv"
    split.write_text("patient,split\na,train\nc,train\nd,valid\ne,test\n")
    prepared = run_prepared(settings.model_copy(update={"split": str(split)}), 32)
    assert prepared.classes.names == ("core", "ring", "rim")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"background": 0, "whole tumor": [1, 2], "core": 2}, '"whole tumor": \\[1, 2\\].*one number'),
        ({"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumor": 2}, '"kidney".*"masses"'),
        ({"background": 0, "ignore": 1, "core": 2}, "0, 1, 2"),
        ({"background": 0, "core": 1, "ring": 1}, "once each"),
        ({"background": 0, "ignore": 1}, "labels"),
        ({"background": 0, "mean": 1, "core": 2}, "'mean'.*column.*rename"),
        ({"background": 0, "core": 1, "any": 2}, "'any'.*column.*rename"),
        ({"0": "background", "1": "core", "2": "core"}, "'core'.*another class.*rename"),
    ],
)
def test_labels_that_are_not_plain_are_refused_by_name(labels: dict[str, Any], words: str, tmp_path: Path) -> None:
    nnunet(tmp_path, labels=labels)
    with pytest.raises(DataError, match=words):
        source(tmp_path, "custom")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_unicode_file_is_read(encoding: str, tmp_path: Path) -> None:
    """Editors and shells of Windows put a byte-order mark first, PowerShell's > writes UTF-16."""
    path = tmp_path / "dataset.json"
    path.write_text('{"labels": {"background": 0, "Bauchspeicheldrüse": 1}, "channel_names": {"0": "CT"}}', encoding)
    description = read_description(path)
    assert description.classes.names == ("Bauchspeicheldrüse",)
    assert description.is_ct


@pytest.mark.parametrize(("stated", "read"), [(7, 7), ("many", None), (None, None)])
def test_the_announced_number_of_volumes(stated: object, read: int | None, tmp_path: Path) -> None:
    nnunet(tmp_path, numTraining=stated)
    assert read_description(tmp_path / "dataset.json").announced == read
