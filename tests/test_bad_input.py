"""Bad input: one clear line that names case and file, the other cases are still checked, nothing half-written is left.

A test case in DINO's training set is in test_dino_training.py, a patient in two splits also in test_protocol.py.
"""

from __future__ import annotations

import gzip
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import nibabel
import numpy as np
import pytest
from conftest import discs
from formats import acdc_patient, mtunet, nnunet, save_npz, source, ssl4mis_slices, transunet

from dainet.data.check import Report, check_source
from dainet.data.phantom_abdomen import write_abdomen_phantoms
from dainet.data.prepared import run_prepared
from dainet.data.volume import DataError
from dainet.settings import DataSettings

PREPARE = Path(__file__).parents[1] / "data_scripts" / "prepare.py"
NOBODY = 65534


def settings(folder: Path, dataset: str = "acdc", **values: object) -> DataSettings:
    return DataSettings.model_validate({"dataset": dataset, "source": str(folder)} | values)


def left_in(runs: Path) -> list[Path]:
    return list((runs / "prepared").glob("*"))


def refused(folder: Path, runs: Path, words: str, dataset: str = "acdc") -> Report:
    """A check reports one line with these words, a run raises it and leaves nothing."""
    report = check_source(settings(folder, dataset))
    assert len(report.problems) == 1 and re.fullmatch(f".*{words}.*", report.problems[0]), report.problems
    assert str(folder) not in report.problems[0]
    with pytest.raises(DataError) as caught:
        run_prepared(settings(folder, dataset), 32)
    assert str(caught.value) == report.problems[0]
    assert left_in(runs) == []
    return report


# NIfTI files of raw ACDC, BTCV and nnU-Net


class Pair(NamedTuple):
    """A data set in which one case is damaged later: image and label file of that case."""

    dataset: str
    case_id: str
    image: Path
    label: Path


def raw_acdc(folder: Path) -> Pair:
    for number in (1, 2):  # trains, tests
        acdc_patient(folder / f"patient{number:03d}", seed=100 * number)
    stem = folder / "patient002" / "patient002_frame01"
    return Pair("acdc", "patient002_ED", Path(f"{stem}.nii.gz"), Path(f"{stem}_gt.nii.gz"))


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
    nifti = nibabel.load(path)
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
    "truncated gzip": (image_of_bytes(lambda packed: packed[:-400]), "cannot be read as NIfTI.*fetch it again"),
    "gzip's header alone": (image_of_bytes(lambda packed: packed[:10]), "cannot be read as NIfTI.*fetch it again"),
    "empty file": (image_of_bytes(lambda packed: b""), "cannot be read as NIfTI.*fetch it again"),
    "not NIfTI": (image_of_bytes(lambda packed: b"<html>log in</html>"), "cannot be read as NIfTI.*fetch it again"),
    "dangling link": (dangling_link, "cannot be read as NIfTI.*fetch it again"),
    "30000^3 voxels": (image_of_bytes(patched(42, [30000] * 3, "<i2")), "header claims .* GB of voxels, found a file"),
    "other shapes": (label_with(lambda array: array[:, :, 1:]), r"image \(.*and label \(.*expected two equal shapes"),
    "other affine": (label_with(same, moved_mm=30), "lie up to 30.0 mm apart; expected the same voxels; resample"),
    "no voxel size": (image_of_bytes(patched(80, [np.nan, 1, 1], "<f4")), "voxel edges of nan, 1, 1 mm.*expected"),
    "4-D": (image_with(lambda array: np.stack([array] * 2, axis=3)), r"has the shape \(.*, 2\); expected three axes"),
    "2-D": (image_with(lambda array: array[:, :, 0]), r"has the shape \(\d+, \d+\); expected three axes"),
    "no slices": (image_with(lambda array: array[:, :, :0]), r"has the shape \(.*, 0\); expected three axes"),
    "NaN": (image_with(one_voxel(np.nan)), "found NaN or infinite grey values; repair"),
    "infinity": (image_with(one_voxel(np.inf)), "found NaN or infinite grey values; repair"),
    "infinite in float32": (image_with(one_voxel(1e300)), "found NaN or infinite grey values; repair"),
    "constant": (image_with(np.ones_like), "every voxel is 1.0; the image is empty, fetch it again"),
    "complex numbers": (image_with(lambda array: array.astype(np.complex64)), "type complex64.*expected numbers"),
    "interpolated labels": (
        label_with(lambda array: array * 0.5),
        r"labels such as \d\.5; expected whole numbers; resample",
    ),
    "NaN labels": (label_with(one_voxel(np.nan)), "labels such as nan; expected whole numbers"),
    "unknown label": (label_with(one_voxel(77, np.uint8)), r"found the labels \[0, .*77\], expected 0 to .*; map"),
    "negative label": (label_with(one_voxel(-1, np.int16)), "found labels from -1 to .*, expected 0 to .*; map"),
    "label 300": (label_with(one_voxel(300, np.int16)), "found labels from 0 to 300, expected 0 to .*; map"),
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
def test_damaged_nifti(data, damage, tmp_path, runs, request):
    if data is raw_btcv:
        shutil.copytree(request.getfixturevalue("abdomens"), tmp_path / "data")
    pair, (spoil, words) = data(tmp_path / "data"), DAMAGED_NIFTI[damage]
    good = {case.case_id for case in source(tmp_path / "data", pair.dataset).cases} - {pair.case_id}
    path = spoil(pair)
    report = refused(tmp_path / "data", runs, words, pair.dataset)
    assert pair.case_id in report.problems[0] and path.name in report.problems[0]
    assert good and set(report.cases["case_id"]) == good


def test_a_run_reports_all_bad_cases_in_one_go(tmp_path, runs):
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
    "no Info.cfg": (info(None), "patient002: Info.cfg is missing; .*fetch it again"),
    "empty Info.cfg": (info(b""), "patient002: Info.cfg names no ED, expected a frame number"),
    "random bytes": (info(bytes(range(256))), "patient002: Info.cfg cannot be read .*fetch it again"),
    "zeros": (info(bytes(4096)), "patient002: Info.cfg names no ED, expected a frame number"),
    "UTF-16": (info("ED: 1\nES: 9\n".encode("utf-16")), "patient002: Info.cfg cannot be read"),
    "no ES": (info(b"ED: 1\nGroup: DCM\n"), "patient002: Info.cfg names no ES, expected a frame number"),
    "a word": (info(b"ED: one\nES: 9\n"), "patient002: Info.cfg gives ED = 'one', expected a frame number"),
    "negative": (info(b"ED: 1\nES: -9\n"), "patient002: Info.cfg gives ES = '-9', expected a frame number"),
    "no label": (without("patient002_frame09_gt.nii.gz"), "patient002 ES: patient002_frame09_gt.nii.gz is missing"),
    "no frame": (without("patient002_frame01.nii.gz"), "patient002 ED: .*frame01.nii.gz is missing, .*says ED = 1"),
    "twice": (
        lambda folder: shutil.copytree(folder, folder.parent / "b" / folder.name),
        "patient002_ED: found 2 times",
    ),
}


@pytest.mark.parametrize("damage", DAMAGED_FOLDER)
def test_damaged_acdc_folders(damage, tmp_path, runs):
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
def test_info_cfg_as_other_editors_write_it(tmp_path, text):
    folder = acdc_patient(tmp_path / "patient001")
    (folder / "Info.cfg").write_bytes(text)
    data = source(tmp_path)
    assert [case.files[0].name[11:18] for case in data.cases] == ["frame01", "frame09"] and not data.problems


def test_ed_after_es_works(tmp_path):
    acdc_patient(tmp_path / "patient090", ed=11, es=4)  # trains
    acdc_patient(tmp_path / "patient002", seed=7)
    prepared = run_prepared(settings(tmp_path), 32)
    files = prepared.cases.drop_duplicates("case_id").set_index("case_id")["file"]
    assert files["patient090_ED"] == "patient090_frame11.nii.gz"
    assert files["patient090_ES"] == "patient090_frame04.nii.gz"


# Prepared copies: h5 and npz


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def h5(**datasets: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "w") as file:
            for name, values in datasets.items():
                file[name] = values

    return damage


def npz(**arrays: np.ndarray) -> Callable[[Path], None]:
    return lambda path: save_npz(path, **arrays)


def first_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped_bits(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[300:400] = (255 - byte for byte in content[300:400])
    path.write_bytes(content)


def bomb(path: Path) -> None:
    objects = np.array([Bomb(path.with_name("exploded"))], object)
    np.savez(path, img=objects, image=objects, label=objects)


def bare_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb(path.with_name("exploded"))))


def giant(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name in ("image", "label"):
            file.create_dataset(name, (30000, 30000, 30000), "f4", chunks=(1, 100, 100))


WORDS, PLANE, VOLUME = np.full((40, 36), "text"), np.ones((40, 36)), discs(0)[0]
H5, NPZ = "patient002_frame01.h5", "train/case_001_sliceED_3.npz"
H5_SLICE, ABDOMEN = "patient001_frame01_slice_3.h5", "test_vol_h5/case0001.npy.h5"
UNREADABLE = "holds no readable (image|img) and label"
DAMAGED_COPY = {
    "half an h5": (H5, first_half, f"{UNREADABLE} .*fetch it again"),
    "no h5": (H5, lambda path: path.write_bytes(b"text"), f"{UNREADABLE} .*fetch it again"),
    "no label": (H5, h5(image=VOLUME), f"{UNREADABLE} .*label.*fetch it again"),
    "strings": (H5, h5(image=["a", "b"], label=["a", "b"]), f"{UNREADABLE} .*type object.*expected numbers"),
    "a group": (H5, lambda path: h5(**{"image/a": PLANE, "label/a": PLANE})(path), UNREADABLE),
    "30000^3 voxels": (H5, giant, f"{UNREADABLE} .*header claims .* GB of voxels, found a file of"),
    "no slices": (H5, h5(image=VOLUME[:0], label=VOLUME[:0]), "expected two equal shapes"),
    "one plane": (H5, h5(image=PLANE, label=PLANE), "expected two equal shapes"),
    "NaN": (H5, h5(image=VOLUME * np.nan, label=VOLUME * 0), "found NaN or infinite grey values"),
    "other h5 slice": (H5_SLICE, h5(image=PLANE[1:], label=PLANE[1:]), r"image \(39, 36\).*expected .*\(40, 36\)"),
    "missing h5 slice": (H5_SLICE, Path.unlink, "patient001 frame 1: slice 3 is missing, the last one is 11"),
    "damaged zip": (NPZ, first_half, f"{UNREADABLE} .*fetch it again"),
    "flipped bits": (NPZ, flipped_bits, f"{UNREADABLE} .*fetch it again"),
    "pickled objects": (NPZ, bomb, f"{UNREADABLE} .*fetch it again"),
    "a pickle": (NPZ, bare_pickle, f"{UNREADABLE} .*fetch it again"),
    "no label in npz": (NPZ, npz(img=PLANE), f"{UNREADABLE} .*label.*fetch it again"),
    "strings in npz": (NPZ, npz(img=WORDS, label=WORDS), f"{UNREADABLE} .*type <U4.*expected numbers"),
    "other slice": (NPZ, npz(img=PLANE[:, 1:], label=PLANE[:, 1:]), r"image \(40, 35\).*expected .*\(40, 36\)"),
    "other label": (NPZ, npz(img=PLANE, label=PLANE[:, 1:]), r"label \(40, 35\).*expected .*\(40, 36\)"),
    "missing slice": (NPZ, Path.unlink, "patient001 ED: slice 3 is missing, the last one is 10; fetch them again"),
    "no window": (ABDOMEN, h5(image=VOLUME * 0 + 255, label=VOLUME * 0), "255; expected 0 to 1, TransUNet's window"),
    "empty abdomen": (ABDOMEN, h5(image=VOLUME[:0], label=VOLUME[:0]), "expected two equal shapes"),
    "strings in abdomen": (ABDOMEN, h5(image=["a"], label=["a"]), f"{UNREADABLE} .*expected numbers"),
}


@pytest.fixture(scope="module")
def synapse_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transunet")
    transunet(folder)
    return folder


@pytest.mark.parametrize("damage", DAMAGED_COPY)
def test_damaged_copies(damage, tmp_path, runs, request):
    name, spoil, words = DAMAGED_COPY[damage]
    folder, dataset = tmp_path / "copy", "acdc"
    if name == H5:
        shutil.copytree(request.getfixturevalue("h5_source"), folder)
    elif name == H5_SLICE:
        for number in (1, 2):
            ssl4mis_slices(folder, number)
    elif name == NPZ:
        mtunet(folder)
    else:
        dataset = "synapse"
        shutil.copytree(request.getfixturevalue("synapse_copy"), folder)
    good = {case.case_id for case in source(folder, dataset).cases}
    spoil(folder / name)
    report = refused(folder, runs, words, dataset)
    problem = report.problems[0]
    assert re.match("(patient00[12]|case0001)", problem)
    assert "missing" in damage or (folder / name).name in problem or " to case_" in problem
    readable = set(report.cases["case_id"])
    assert len(good) > 1 and readable < good and len(good) - len(readable) == 1
    assert not list(folder.rglob("exploded"))


@pytest.mark.parametrize(
    ("name", "dataset", "words"),
    [
        ("patient002_frame01.h5", "acdc", "patient002: found patient002_frame01.h5 in again and in copy; keep one"),
        ("train/case_001_sliceED_3.npz", "acdc", "patient001: found case_001_sliceED_3.npz in train and in again"),
        ("test_vol_h5/case0001.npy.h5", "synapse", "case0001: found case0001.npy.h5 in again and in test_vol_h5"),
    ],
)
def test_a_case_in_two_folders(name, dataset, words, tmp_path, runs, request):
    folder = tmp_path / "copy"
    if name.endswith(".npz"):
        mtunet(folder)
    else:
        shutil.copytree(request.getfixturevalue("h5_source" if dataset == "acdc" else "synapse_copy"), folder)
    again = folder / ("zz" if name.endswith(".npz") else "") / "again"
    again.mkdir(parents=True)
    shutil.copy(folder / name, again)
    refused(folder, runs, words, dataset)


def test_a_btcv_image_in_two_folders(tmp_path, abdomens, runs):
    shutil.copytree(abdomens, tmp_path / "data")
    image = next((tmp_path / "data").rglob("img0001.nii.gz"))
    (tmp_path / "data" / "copy").mkdir()
    shutil.copy(image, tmp_path / "data" / "copy")
    refused(tmp_path / "data", runs, "case0001: found twice, copy/img0001.nii.gz and img/img0001.nii.gz", "synapse")


def test_two_nnunet_data_sets_are_refused(tmp_path, runs):
    for name in ("Dataset001_A", "Dataset002_B"):
        nnunet(tmp_path / name)
    words = r"found 2 data sets \(Dataset001_A, Dataset002_B\), expected one; point data.source at one"
    refused(tmp_path, runs, words, "custom")


def test_a_copy_of_which_nothing_can_be_read_says_why(tmp_path, synapse_copy, runs):
    (tmp_path / "test_vol_h5").mkdir()
    (tmp_path / "test_vol_h5" / "case0001.npy.h5").write_bytes(b"")
    words = "case0001.npy.h5 holds no readable image and label"
    assert words in check_source(settings(tmp_path, "synapse")).problems[0]  # and not: labels fit several orders


# Permissions, disk, links, names


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything, so tests of permissions give its rights up."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may enter, with a runs folder that everybody may write."""
    if not hasattr(os, "seteuid"):
        pytest.skip("no POSIX permissions")
    folder = Path(tempfile.mkdtemp())
    (folder / "runs").mkdir()
    for path, mode in ((folder, 0o755), (folder / "runs", 0o777)):
        path.chmod(mode)
    monkeypatch.setenv("DAINET_RUNS", str(folder / "runs"))
    yield folder
    for path in (folder / "data", *(folder / "data").rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [
        (
            "patient002/patient002_frame01.nii.gz",
            0,
            "patient002_ED: .*frame01.nii.gz cannot be read .*; allow reading it",
        ),
        ("patient002/Info.cfg", 0, r"patient002: Info.cfg cannot be read \(Permission denied\); allow reading it"),
        ("patient002", 0, r"folder data/patient002 cannot be listed \(Permission denied\); allow reading it"),
        ("patient002", 0o444, r"patient002: Info.cfg cannot be read \(Permission denied\); allow reading it"),
    ],
)
def test_what_may_not_be_read(public, name, mode, words):
    raw_acdc(public / "data")
    (public / "data" / name).chmod(mode)
    with as_nobody():
        report = refused(public / "data", public / "runs", words)
    assert {"patient001_ED", "patient001_ES"} <= set(report.cases["case_id"])


def test_a_source_that_may_not_be_read(public):
    raw_acdc(public / "data")
    (public / "data").chmod(0)
    with as_nobody(), pytest.raises(DataError, match=r"^data holds no acdc data.*data cannot be listed \(Permission"):
        check_source(settings(public / "data"))
    with as_nobody(), pytest.raises(DataError, match="is no folder or may not be entered"):
        check_source(settings(public / "data" / "patient001"))


def test_a_full_disk(tmp_path, runs):
    """The system refuses to write more, at several places; once there is room, the same call succeeds."""
    raw_acdc(tmp_path / "data")
    script = """
import resource, sys
from dainet.data.prepared import run_prepared
from dainet.settings import DataSettings
from dainet.store import StageError, runs_folder
for limit in (100, 1_000, 6_000, 20_000, resource.RLIM_INFINITY):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        print(len(run_prepared(DataSettings(source=sys.argv[1]), 64).images))
    except StageError as error:
        print(error)
    print(len(list((runs_folder() / "prepared").iterdir())))
"""
    pytest.importorskip("resource")
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert lines[1::2] == ["0", "0", "0", "0", "1"], done.stdout + done.stderr
    full = r".*runs: results cannot be written \(File too large\); free space there, allow writing, or name another.*"
    assert all(re.fullmatch(full, line) for line in lines[:-2:2]) and lines[-2] == "12", done.stdout


def test_loops_of_links_end(h5_source):
    (h5_source / "self").symlink_to("self")
    (h5_source / "loop").symlink_to(h5_source)
    (h5_source / "a").mkdir()
    (h5_source / "b").mkdir()
    (h5_source / "a" / "to_b").symlink_to(h5_source / "b")
    (h5_source / "b" / "to_a").symlink_to(h5_source / "a")
    data = source(h5_source)
    assert len(data.cases) == 12 and not data.problems


def test_linked_folders_are_followed(tmp_path):
    raw_acdc(tmp_path / "elsewhere")
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "link").symlink_to(tmp_path / "data" / "z" / "patient001")
    shutil.move(tmp_path / "elsewhere" / "patient001", tmp_path / "data" / "z" / "patient001")
    (tmp_path / "data" / "patient002").symlink_to(tmp_path / "elsewhere" / "patient002")
    data = source(tmp_path / "data")
    assert {case.patient for case in data.cases} == {"patient001", "patient002"} and not data.problems
    assert len(run_prepared(settings(tmp_path / "data"), 32).images) == 12


def test_names_with_spaces_and_other_letters(tmp_path):
    folder = tmp_path / "Daten für Ärzte" / "心 데이터"
    folder.mkdir(parents=True)
    nnunet(folder, names=("leber ä", "心 b", "žluč c"))
    report = check_source(settings(folder, "custom"))
    assert sorted(report.cases["case_id"]) == ["leber ä", "žluč c", "心 b"] and not report.problems
    prepared = run_prepared(settings(folder, "custom"), 32)
    test_cases = list(prepared.volumes("test"))
    assert test_cases and prepared.native_label(test_cases[0])[0].shape == (3, 40, 36)


# Windows


def test_a_windows_path_elsewhere_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r'^data.source "C:\\data\\ACDC" is no folder .*; give the folder'):
        check_source(settings(Path("C:\\data\\ACDC")))


def test_a_split_file_from_windows(tmp_path, monkeypatch):
    raw_acdc(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    name = "C:\\Users\\Ada\\mine.csv"  # elsewhere a valid file name
    (tmp_path / name).write_bytes(b"\xef\xbb\xbfpatient,split\r\npatient001,test\r\npatient002,train\r\n")
    prepared = run_prepared(settings(tmp_path / "data", split=name), 32)
    assert prepared.about["split"] == "mine.csv"
    splits = prepared.cases.groupby("patient")["split"].first()
    assert splits.to_dict() == {"patient001": "test", "patient002": "train"}


def test_a_patient_in_two_splits(tmp_path, runs):
    raw_acdc(tmp_path / "data")
    split = tmp_path / "mine.csv"
    split.write_text("patient,split\npatient001,train\npatient002,test\npatient001,test\n")
    with pytest.raises(ValueError, match="^mine.csv: patient001 listed more than once; give each patient one split$"):
        run_prepared(settings(tmp_path / "data", split=str(split)), 32)
    assert left_in(runs) == []


def test_no_path_leaks_into_records_and_a_moved_source_is_recognised(tmp_path):
    raw_acdc(tmp_path / "data")
    first = run_prepared(settings(tmp_path / "data"), 32).result
    records = [path.read_bytes() for path in first.path.rglob("*") if path.is_file()]
    assert len(records) >= 5 and not any(str(tmp_path).encode() in record for record in records)
    shutil.move(tmp_path / "data", tmp_path / "moved")
    assert run_prepared(settings(tmp_path / "moved"), 32).result == first


# The command line; without problems it is in test_check.py


@pytest.mark.parametrize("outcome", ["bad", "nowhere"])
def test_the_command_line(outcome, tmp_path):
    if outcome == "bad":
        raw_acdc(tmp_path / "bad").image.write_bytes(b"")
    command = [sys.executable, str(PREPARE), "check", "--dataset", "acdc", "--source", str(tmp_path / outcome)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    if outcome == "nowhere":
        assert re.fullmatch(r"prepare: data.source .*nowhere\" is no folder .*\n", done.stderr) and not done.stdout
    else:
        assert "PROBLEM: patient002_ED: patient002_frame01.nii.gz cannot be read" in done.stdout
        assert "patient001_ES" in done.stdout and not done.stderr.count("prepare:")
