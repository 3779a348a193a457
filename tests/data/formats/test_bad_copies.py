"""Damaged copies as h5 and npz, each refused in one line; see test_bad_input.py."""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from dainet.data.check import check_source
from tests.helpers.formats import mtunet, save_npz, source, ssl4mis_slices, transunet
from tests.helpers.refusals import Bomb, refused, settings
from tests.helpers.samples import discs


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
UNREADABLE = "readable (image|img) and label"
DAMAGED_COPY = {
    "half an h5": (H5, first_half, f"{UNREADABLE} .*fetch it again"),
    "no h5": (H5, lambda path: path.write_bytes(b"text"), f"{UNREADABLE} .*fetch it again"),
    "no label": (H5, h5(image=VOLUME), f"{UNREADABLE} .*label.*fetch it again"),
    "strings": (H5, h5(image=["a", "b"], label=["a", "b"]), f"{UNREADABLE} .*type object.*numbers"),
    "a group": (H5, lambda path: h5(**{"image/a": PLANE, "label/a": PLANE})(path), UNREADABLE),
    "30000^3 voxels": (H5, giant, f"{UNREADABLE} .*GB of voxels.*file.* bytes"),
    "no slices": (H5, h5(image=VOLUME[:0], label=VOLUME[:0]), "(0|40, 36).*equal shapes"),
    "one plane": (H5, h5(image=PLANE, label=PLANE), "(0|40, 36).*equal shapes"),
    "NaN": (H5, h5(image=VOLUME * np.nan, label=VOLUME * 0), "NaN.*gray values"),
    "other h5 slice": (H5_SLICE, h5(image=PLANE[1:], label=PLANE[1:]), r"image \(39, 36\).*.*\(40, 36\)"),
    "missing h5 slice": (H5_SLICE, Path.unlink, "patient001 frame 1: slice 3 .*missing.*11"),
    "damaged zip": (NPZ, first_half, f"{UNREADABLE} .*fetch it again"),
    "flipped bits": (NPZ, flipped_bits, f"{UNREADABLE} .*fetch it again"),
    "pickled objects": (NPZ, bomb, f"{UNREADABLE} .*fetch it again"),
    "a pickle": (NPZ, bare_pickle, f"{UNREADABLE} .*fetch it again"),
    "no label in npz": (NPZ, npz(img=PLANE), f"{UNREADABLE} .*label.*fetch it again"),
    "strings in npz": (NPZ, npz(img=WORDS, label=WORDS), f"{UNREADABLE} .*type <U4.*numbers"),
    "other slice": (NPZ, npz(img=PLANE[:, 1:], label=PLANE[:, 1:]), r"image \(40, 35\).*.*\(40, 36\)"),
    "other label": (NPZ, npz(img=PLANE, label=PLANE[:, 1:]), r"label \(40, 35\).*.*\(40, 36\)"),
    "missing slice": (NPZ, Path.unlink, "patient001 ED: slice 3 .*missing.*10.*fetch"),
    "no window": (ABDOMEN, h5(image=VOLUME * 0 + 255, label=VOLUME * 0), "255.*0 to 1.*TransUNet"),
    "empty abdomen": (ABDOMEN, h5(image=VOLUME[:0], label=VOLUME[:0]), "(0|40, 36).*equal shapes"),
    "strings in abdomen": (ABDOMEN, h5(image=["a"], label=["a"]), f"{UNREADABLE} .*numbers"),
}


@pytest.fixture(scope="module")
def synapse_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transunet")
    transunet(folder)
    return folder


@pytest.mark.parametrize("damage", DAMAGED_COPY)
def test_damaged_copies(damage: str, tmp_path: Path, runs: Path, request: pytest.FixtureRequest) -> None:
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
    assert len(good) > 1
    assert readable < good
    assert len(good) - len(readable) == 1
    assert not list(folder.rglob("exploded"))


@pytest.mark.parametrize(
    ("name", "dataset", "words"),
    [
        ("patient002_frame01.h5", "acdc", "patient002: .*patient002_frame01.h5 .*again.*copy.*keep one"),
        ("train/case_001_sliceED_3.npz", "acdc", "patient001: .*case_001_sliceED_3.npz .*train.*again"),
        ("test_vol_h5/case0001.npy.h5", "synapse", "case0001: .*case0001.npy.h5 .*again.*test_vol_h5"),
    ],
)
def test_a_case_in_two_folders(
    name: str, dataset: str, words: str, tmp_path: Path, runs: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "copy"
    if name.endswith(".npz"):
        mtunet(folder)
    else:
        shutil.copytree(request.getfixturevalue("h5_source" if dataset == "acdc" else "synapse_copy"), folder)
    again = folder / ("zz" if name.endswith(".npz") else "") / "again"
    again.mkdir(parents=True)
    shutil.copy(folder / name, again)
    refused(folder, runs, words, dataset)


def test_a_copy_of_which_nothing_can_be_read_says_why(tmp_path: Path, synapse_copy: Path, runs: Path) -> None:
    (tmp_path / "test_vol_h5").mkdir()
    (tmp_path / "test_vol_h5" / "case0001.npy.h5").write_bytes(b"")
    words = "case0001.npy.h5 .*image and label"
    assert re.search(
        words, check_source(settings(tmp_path, "synapse")).problems[0]
    )  # and not: labels fit several orders
