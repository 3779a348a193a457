"""Scans made small: the bytes come back to the last bit, and whatever else there is stays as it is."""

from __future__ import annotations

import gzip
import io
import lzma

import nibabel
import numpy as np
import pytest

from dainet.data.formats.nifti import packed_nifti
from dainet.data.phantoms.cardiac import make_cardiac_patient
from dainet.transfer.scans import restore, shrink


def zipped(raw: bytes, level: int = 1, name: str = "") -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(name, "wb", level, buffer, mtime=1_700_000_000) as file:
        file.write(raw)
    return buffer.getvalue()


def volume(dtype: str, shape: tuple[int, ...] = (7, 6, 5)) -> bytes:
    """A NIfTI file of random voxels with the smallest and the largest number of its type."""
    info = np.iinfo(dtype)
    voxels = np.random.default_rng(0).integers(info.min, info.max, shape, np.dtype(dtype).newbyteorder("="), True)
    voxels.flat[:2] = info.min, info.max
    return nibabel.Nifti1Image(voxels.astype(dtype), np.diag([1.5, 1.5, 10, 1]), dtype=dtype).to_bytes()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", ">i2"])
def test_volumes_of_whole_numbers_come_back(dtype: str) -> None:
    content = zipped(volume(dtype))
    assert restore(shrink(content)) == content


@pytest.fixture(scope="module")
def heart() -> np.ndarray:
    return make_cardiac_patient(1).phases["ED"][0].T.astype(np.int16)


@pytest.mark.parametrize("level", range(1, 10))
def test_the_level_of_the_gzip_file_is_found(heart: np.ndarray, level: int) -> None:
    content = zipped(nibabel.Nifti1Image(heart[:, :, :2], np.eye(4)).to_bytes(), level, "frame01.nii")
    assert restore(shrink(content)) == content


@pytest.mark.parametrize("shape", [(5, 4), (1, 1, 1), (3, 4, 2, 2)])
def test_any_number_of_axes_comes_back(shape: tuple[int, ...]) -> None:
    content = zipped(volume("int16", shape))
    assert restore(shrink(content)) == content


def test_a_scan_becomes_smaller_than_by_compressing_alone(heart: np.ndarray) -> None:
    content = packed_nifti(heart, np.eye(4))
    assert len(lzma.compress(shrink(content))) < 0.9 * len(lzma.compress(gzip.decompress(content))) < len(content)


WHOLE = zipped(volume("int16"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"never opened",
        WHOLE[: len(WHOLE) // 2],
        WHOLE + WHOLE,
        WHOLE + b"more",
        WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]),
        zipped(b"no scan"),
        zipped(volume("int16")[:-1]),
        zipped(volume("int16") + b"x"),
        zipped(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.eye(4)).to_bytes()),
        zipped(nibabel.Nifti1Image(np.zeros((4,), np.int16), np.eye(4)).to_bytes()),
        WHOLE[:3] + b"\x04" + WHOLE[4:],
    ],
)
def test_what_would_not_come_back_is_left_as_it_is(content: bytes) -> None:
    assert shrink(content) is None
