"""Malicious arrays: no other file is read, nothing is unpickled, and sizes they claim are not allocated.

Other files cover archives that leave their folder (data/download/test_archive.py), and a pickle as npz and headers of
NIfTI and h5 that claim terabytes (data/formats/test_bad_nifti.py, data/formats/test_bad_copies.py).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from dainet.data.check import check_source
from dainet.settings import DataSettings
from tests.helpers.refusals import Bomb
from tests.helpers.samples import discs


def ssl4mis(folder: Path) -> Path:
    """Two frames of a patient; the first is what a test replaces."""
    folder.mkdir()
    for frame in (1, 9):
        with h5py.File(folder / f"patient001_frame{frame:02d}.h5", "w") as file:
            file["image"], file["label"] = discs(frame)
    return folder / "patient001_frame01.h5"


def external_link(file: h5py.File, secret: Path) -> None:
    file["image"] = h5py.ExternalLink(str(secret), "image")


def soft_link(file: h5py.File, secret: Path) -> None:
    """Through a link of its own to one that leaves the file."""
    file["elsewhere"] = h5py.ExternalLink(str(secret), "/")
    file["image"] = h5py.SoftLink("/elsewhere/image")


def virtual_dataset(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((3, 40, 36), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "image", (3, 40, 36))
    file.create_virtual_dataset("image", layout)


def external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("image", (3, 40, 36), "u1", external=[(str(secret), 0, 3 * 40 * 36)])


@pytest.mark.parametrize("leave", [external_link, soft_link, virtual_dataset, external_storage])
def test_an_h5_file_cannot_refer_to_another_file(leave: Callable[[h5py.File, Path], None], tmp_path: Path) -> None:
    secret = ssl4mis(tmp_path / "secret")
    path = ssl4mis(tmp_path / "data")
    with h5py.File(path, "w") as file:
        leave(file, secret)
        file["label"] = discs(1)[1]
        assert file["image"].shape == (3, 40, 36)  # HDF5 itself would follow
    (problem,) = check_source(DataSettings(source=str(tmp_path / "data"))).problems
    words = "patient001_frame01.h5 .*image.*link.*outside"
    assert re.search(words, problem)
    assert "fetch it again" in problem
    assert "secret" not in problem


def mtunet_case(folder: Path) -> Path:
    folder.mkdir()
    image, label = discs(1)
    for phase in ("ED", "ES"):
        np.savez(folder / f"case_002_volume_{phase}.npz", img=image, label=label)
    return folder / "case_002_volume_ED.npz"


def claiming(path: Path, shape: tuple[int, ...]) -> None:
    """An npz whose arrays announce another shape than they have."""
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as file:
        for name in ("img.npy", "label.npy"):
            file.writestr(name, member.getvalue() + bytes(1000))


def test_an_npz_that_claims_terabytes_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    claiming(mtunet_case(tmp_path / "data"), (30000, 30000, 30000))
    (problem,) = check_source(DataSettings(source=str(tmp_path / "data"))).problems
    assert "case_002_volume_ED.npz" in problem
    assert "1.08e+05 GB of voxels" in problem


def test_objects_in_an_npz_are_not_unpickled_and_the_error_does_not_advise_it(marker: Path, tmp_path: Path) -> None:
    path = mtunet_case(tmp_path / "data")
    np.savez(path, img=np.array([Bomb(marker)], object), label=np.zeros(1))
    (problem,) = check_source(DataSettings(source=str(tmp_path / "data"))).problems
    assert re.search("img .*pickled objects.*numbers", problem)
    assert "allow_pickle" not in problem
    assert not marker.exists()
