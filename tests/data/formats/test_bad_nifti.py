"""Damaged NIfTI files and folders of raw ACDC, BTCV and nnU-Net, each refused in one line; see test_bad_input.py."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dainet.data.check import check_source
from dainet.data.phantoms.abdomen import write_abdomen_phantoms
from dainet.data.prepared import run_prepared
from dainet.data.volume import DataError
from tests.helpers.formats import acdc_patient, load_nifti, nnunet, save_nifti, source
from tests.helpers.refusals import Pair, left_in, raw_acdc, refused, settings
from tests.helpers.samples import discs


@pytest.fixture(scope="module")
def abdomens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("abdomens")
    write_abdomen_phantoms(folder, 2, size=48)
    for path in sorted(folder.rglob("*0002.nii.gz")):
        path.rename(path.with_name(path.name.replace("0002", "0005")))  # 1 tests, 5 trains
    return folder


def raw_btcv(folder: Path) -> Pair:
    image, label = (next(folder.rglob(f"{name}0001.nii.gz")) for name in ("img", "label"))
    return Pair("synapse", "case0001", image, label)


def raw_nnunet(folder: Path) -> Pair:
    nnunet(folder)
    return Pair("custom", "c", folder / "imagesTr" / "c_0000.nii.gz", folder / "labelsTr" / "c.nii.gz")


Change = Callable[[np.ndarray], np.ndarray]


def image_with(change: Change) -> Callable[[Pair], Path]:
    return lambda pair: rewritten(pair.image, change)


def label_with(change: Change, moved_mm: float = 0) -> Callable[[Pair], Path]:
    return lambda pair: rewritten(pair.label, change, moved_mm)


def image_of_bytes(change: Callable[[bytes], bytes]) -> Callable[[Pair], Path]:
    def damage(pair: Pair) -> Path:
        pair.image.write_bytes(change(pair.image.read_bytes()))
        return pair.image

    return damage


def rewritten(path: Path, change: Change, moved_mm: float = 0) -> Path:
    nifti = load_nifti(path)
    affine = nifti.affine.copy()
    affine[0, 3] += moved_mm
    nibabel.Nifti1Image(change(np.asarray(nifti.dataobj)), affine).to_filename(path)
    return path


def patched(offset: int, values: list[float], dtype: str) -> Callable[[bytes], bytes]:
    """Other numbers in a NIfTI header."""
    new = np.array(values, dtype).tobytes()

    def change(packed: bytes) -> bytes:
        raw = gzip.decompress(packed)
        return gzip.compress(raw[:offset] + new + raw[offset + len(new) :])

    return change


def one_voxel(value: float, dtype: type = np.float64) -> Change:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(dtype)
        array[0, 0, 0] = value
        return array

    return change


def dangling_link(pair: Pair) -> Path:
    pair.label.unlink()
    pair.label.symlink_to("nowhere.nii.gz")
    return pair.label


def same(array: np.ndarray) -> np.ndarray:
    return array


DAMAGED_NIFTI = {
    "truncated gzip": (image_of_bytes(lambda packed: packed[:-400]), "NIfTI.*fetch it again"),
    "gzip's header alone": (image_of_bytes(lambda packed: packed[:10]), "NIfTI.*fetch it again"),
    "empty file": (image_of_bytes(lambda packed: b""), "NIfTI.*fetch it again"),
    "not NIfTI": (image_of_bytes(lambda packed: b"<html>log in</html>"), "NIfTI.*fetch it again"),
    "dangling link": (dangling_link, "NIfTI.*fetch it again"),
    "30000^3 voxels": (image_of_bytes(patched(42, [30000] * 3, "<i2")), "GB of voxels"),
    "other shapes": (label_with(lambda array: array[:, :, 1:]), r"image \(.*label \(.*equal shapes"),
    "other affine": (label_with(same, moved_mm=30), "30.0 mm.*resample"),
    "no voxel size": (image_of_bytes(patched(80, [np.nan, 1, 1], "<f4")), "nan, 1, 1 mm"),
    "voxels without height": (image_of_bytes(patched(80, [1.5, 1.4, 0], "<f4")), "1.5, 1.4, 0 mm"),
    "voxels of no size": (image_of_bytes(patched(80, [0, 0, 0], "<f4")), "0, 0, 0 mm"),
    "a negative voxel size": (image_of_bytes(patched(80, [1.5, -1.4, 10], "<f4")), "1.5, -1.4, 10 mm"),
    "an infinite voxel size": (image_of_bytes(patched(80, [1.5, np.inf, 10], "<f4")), "1.5, inf, 10 mm"),
    "meters": (image_of_bytes(patched(123, [1], "u1")), "meters.*expected mm"),
    "micrometers and seconds": (image_of_bytes(patched(123, [3 + 8], "u1")), "micrometers.*expected mm"),
    "4-D": (image_with(lambda array: np.stack([array] * 2, axis=3)), r"shape \(.*, 2\).*three axes"),
    "2-D": (image_with(lambda array: array[:, :, 0]), r"shape \(\d+, \d+\).*three axes"),
    "no slices": (image_with(lambda array: array[:, :, :0]), r"shape \(.*, 0\).*three axes"),
    "NaN": (image_with(one_voxel(np.nan)), "NaN.*gray values.*repair"),
    "infinity": (image_with(one_voxel(np.inf)), "NaN.*gray values.*repair"),
    "infinite in float32": (image_with(one_voxel(1e300)), "NaN.*gray values.*repair"),
    "constant": (image_with(np.ones_like), r"1\.0.*empty.*fetch it again"),
    "complex numbers": (image_with(lambda array: array.astype(np.complex64)), "complex64.*numbers"),
    "interpolated labels": (
        label_with(lambda array: array * 0.5),
        r"labels.*\d\.5.*whole numbers.*resample",
    ),
    "NaN labels": (label_with(one_voxel(np.nan)), "labels.*nan.*whole numbers"),
    "unknown label": (label_with(one_voxel(77, np.uint8)), r"labels \[0, .*77\].*0 to \d.*map"),
    "negative label": (label_with(one_voxel(-1, np.int16)), r"labels from -1 to .*0 to \d.*map"),
    "label 300": (label_with(one_voxel(300, np.int16)), r"labels from 0 to 300.*0 to \d.*map"),
}
# The readers of the three share the rest:
EVERYWHERE = (
    "truncated gzip",
    "other shapes",
    "other affine",
    "no slices",
    "NaN",
    "interpolated labels",
    "unknown label",
)


@pytest.mark.filterwarnings("ignore")  # NumPy's and nibabel's, about what is refused
@pytest.mark.parametrize(
    ("data", "damage"),
    [(raw_acdc, damage) for damage in DAMAGED_NIFTI]
    + [(data, damage) for data in (raw_btcv, raw_nnunet) for damage in EVERYWHERE],
)
def test_damaged_nifti(
    data: Callable[[Path], Pair], damage: str, tmp_path: Path, runs: Path, request: pytest.FixtureRequest
) -> None:
    if data is raw_btcv:
        shutil.copytree(request.getfixturevalue("abdomens"), tmp_path / "data")
    pair, (spoil, words) = data(tmp_path / "data"), DAMAGED_NIFTI[damage]
    good = {case.case_id for case in source(tmp_path / "data", pair.dataset).cases} - {pair.case_id}
    path = spoil(pair)
    report = refused(tmp_path / "data", runs, words, pair.dataset)
    assert pair.case_id in report.problems[0]
    assert path.name in report.problems[0]
    assert good
    assert set(report.cases["case_id"]) == good


@pytest.mark.parametrize(("moved_mm", "fits"), [(0.6, True), (0.8, False)])
def test_half_a_voxel_between_image_and_label_is_rounding(tmp_path: Path, moved_mm: float, fits: bool) -> None:
    """The smallest edge is 1.4 mm."""
    pair = raw_nnunet(tmp_path)
    rewritten(pair.label, same, moved_mm)
    problems = check_source(settings(tmp_path, "custom")).problems
    assert len(problems) == (not fits)


@pytest.mark.parametrize(("moved_mm", "fits"), [(0.2, True), (0.3, False)])
def test_the_smallest_edge_counts_and_may_be_less_than_a_millimeter(
    tmp_path: Path, moved_mm: float, fits: bool
) -> None:
    pair = raw_nnunet(tmp_path)
    image, label = discs(2)
    save_nifti(pair.image, image, spacing=(0.5, 1.4, 1.5))
    save_nifti(pair.label, label, spacing=(0.5, 1.4, 1.5))
    rewritten(pair.label, same, moved_mm)
    assert len(check_source(settings(tmp_path, "custom")).problems) == (not fits)


def test_a_volume_needs_no_edge_in_time(tmp_path: Path) -> None:
    pair = raw_nnunet(tmp_path)
    image_of_bytes(patched(92, [0.0], "<f4"))(pair)  # pixdim[4]
    assert check_source(settings(tmp_path, "custom")).problems == ()


def test_a_run_reports_all_bad_cases_in_one_go(tmp_path: Path, runs: Path) -> None:
    for number in range(1, 7):
        acdc_patient(tmp_path / f"patient{number:03d}", seed=100 * number)
    rewritten(tmp_path / "patient002" / "patient002_frame01.nii.gz", one_voxel(np.nan))
    rewritten(tmp_path / "patient004" / "patient004_frame09_gt.nii.gz", one_voxel(9))
    (tmp_path / "patient005" / "patient005_frame01.nii.gz").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        run_prepared(settings(tmp_path), 32)
    lines = str(caught.value).splitlines()
    assert [line[:13] for line in lines] == ["patient002_ED", "patient004_ES", "patient005_ED"]
    assert tuple(lines) == check_source(settings(tmp_path)).problems
    assert left_in(runs) == []


# Folders of raw ACDC


def info(content: bytes | None) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / "Info.cfg").unlink()
        if content is not None:
            (folder / "Info.cfg").write_bytes(content)

    return damage


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


DAMAGED_FOLDER = {
    "no Info.cfg": (info(None), "patient002: Info.cfg .*missing.*fetch it again"),
    "empty Info.cfg": (info(b""), "patient002: Info.cfg .*ED.*frame number"),
    "random bytes": (info(bytes(range(256))), "patient002: Info.cfg .*fetch it again"),
    "zeros": (info(bytes(4096)), "patient002: Info.cfg .*ED.*frame number"),
    "UTF-16": (info("ED: 1\nES: 9\n".encode("utf-16")), "patient002: Info.cfg .*fetch it again"),
    "no ES": (info(b"ED: 1\nGroup: DCM\n"), "patient002: Info.cfg .*ES.*frame number"),
    "a word": (info(b"ED: one\nES: 9\n"), "patient002: Info.cfg .*ED.*one.*frame number"),
    "negative": (info(b"ED: 1\nES: -9\n"), "patient002: Info.cfg .*ES.*-9.*frame number"),
    "no label": (without("patient002_frame09_gt.nii.gz"), "patient002 ES: .*frame09_gt.nii.gz .*missing"),
    "no frame": (without("patient002_frame01.nii.gz"), "patient002 ED: .*frame01.nii.gz .*missing.*ED = 1"),
    "twice": (
        lambda folder: shutil.copytree(folder, folder.parent / "b" / folder.name),
        "patient002_ED: .*2 times",
    ),
}


@pytest.mark.parametrize("damage", DAMAGED_FOLDER)
def test_damaged_acdc_folders(damage: str, tmp_path: Path, runs: Path) -> None:
    raw_acdc(tmp_path)
    spoil, words = DAMAGED_FOLDER[damage]
    spoil(tmp_path / "patient002")
    report = check_source(settings(tmp_path))
    assert re.match(words, report.problems[0])
    assert all("patient002" in line and "\n" not in line for line in report.problems)
    assert {"patient001_ED", "patient001_ES"} <= set(report.cases["case_id"])
    with pytest.raises(DataError) as caught:
        run_prepared(settings(tmp_path), 32)
    assert tuple(str(caught.value).splitlines()) == report.problems
    assert left_in(runs) == []


@pytest.mark.parametrize("text", [b"\xef\xbb\xbfED: 1\r\nES: 9\r\n", b"ES:9\rED:1\r", b"Group: DCM\nED : 01\nES: 9"])
def test_info_cfg_as_other_editors_write_it(tmp_path: Path, text: bytes) -> None:
    folder = acdc_patient(tmp_path / "patient001")
    (folder / "Info.cfg").write_bytes(text)
    data = source(tmp_path)
    assert [case.files[0].name[11:18] for case in data.cases] == ["frame01", "frame09"]
    assert not data.problems


def test_ed_after_es_works(tmp_path: Path) -> None:
    acdc_patient(tmp_path / "patient090", ed=11, es=4)  # trains
    acdc_patient(tmp_path / "patient002", seed=7)
    prepared = run_prepared(settings(tmp_path), 32)
    files = prepared.cases.drop_duplicates("case_id").set_index("case_id")["file"]
    assert files["patient090_ED"] == "patient090_frame11.nii.gz"
    assert files["patient090_ES"] == "patient090_frame04.nii.gz"


def test_a_btcv_image_in_two_folders(tmp_path: Path, abdomens: Path, runs: Path) -> None:
    shutil.copytree(abdomens, tmp_path / "data")
    image = next((tmp_path / "data").rglob("img0001.nii.gz"))
    (tmp_path / "data" / "copy").mkdir()
    shutil.copy(image, tmp_path / "data" / "copy")
    refused(tmp_path / "data", runs, "case0001: .*copy/img0001.nii.gz.*img/img0001.nii.gz", "synapse")


def test_two_nnunet_data_sets_are_refused(tmp_path: Path, runs: Path) -> None:
    for name in ("Dataset001_A", "Dataset002_B"):
        nnunet(tmp_path / name)
    words = r"2 data sets.*Dataset001_A, Dataset002_B.*data.source"
    refused(tmp_path, runs, words, "custom")
