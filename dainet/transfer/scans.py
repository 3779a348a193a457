"""Gzipped NIfTI volumes of whole numbers in a form that compresses better, and back again to the last bit."""

from __future__ import annotations

import io
import struct
import zlib

import nibabel
import numpy as np

__all__ = ["restore", "shrink"]

_MAGIC = b"\x1f\x8b\x08"  # gzip, deflate
_NO_NAME, _NAMED = 0, 8  # flags of gzip headers that are taken apart here
_TRAILER = 8  # bytes: checksum and length


def shrink(content: bytes) -> bytes | None:
    """Return another form of a .nii.gz file's bytes, to be compressed; None where `restore` would not give them back.

    Gray values become their rank among those that occur, and each voxel its difference from what its neighbors to the
    left and above predict. The gzip level with which the file was written is found by trying.
    """
    try:
        head, level, raw = _gunzipped(content)
        header = nibabel.Nifti1Header.from_fileobj(io.BytesIO(raw))
        start, dtype = header.get_data_offset(), header.get_data_dtype()
        voxels = np.frombuffer(raw, dtype, offset=start).reshape(header.get_data_shape()[::-1])  # x runs fastest
    except Exception:  # whatever is wrong with the file, its bytes travel as they are
        return None
    if not np.issubdtype(dtype, np.integer) or voxels.ndim < 2:
        return None
    grays, ranks = np.unique(voxels, return_inverse=True)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        head=np.frombuffer(head + raw[:start], np.uint8),
        lengths=[len(head), level],
        grays=grays,
        shape=voxels.shape,
        planes=_planes(ranks.reshape(voxels.shape)),
    )
    return buffer.getvalue() if restore(buffer.getvalue()) == content else None


def restore(shrunk: bytes) -> bytes:
    """Return the bytes of the .nii.gz file of which `shrink` has made this, where zlib compresses as it did there."""
    with np.load(io.BytesIO(shrunk), allow_pickle=False) as file:
        length, level = (int(value) for value in file["lengths"])
        head, grays = file["head"].tobytes(), file["grays"]
        ranks = _ranks(file["planes"], tuple(file["shape"]))
    raw = head[length:] + grays[ranks].tobytes()
    return head[:length] + _deflated(raw, level) + _trailer(raw)


def _planes(ranks: np.ndarray) -> np.ndarray:
    """Return the bytes [4, N] of the differences, lowest first; signs go into the lowest bit."""
    wide = ranks.astype(np.int32)
    delta = np.diff(np.diff(wide, axis=-1, prepend=0), axis=-2, prepend=0)
    zigzag = ((delta << 1) ^ (delta >> 31)).astype("<u4")
    return np.ascontiguousarray(zigzag.view(np.uint8).reshape(-1, 4).T)


def _ranks(planes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    zigzag = np.ascontiguousarray(planes.T).view("<u4").reshape(shape)
    delta = (zigzag >> 1).astype(np.int32) ^ -(zigzag & 1).astype(np.int32)
    return np.cumsum(np.cumsum(delta, axis=-2, dtype=np.int32), axis=-1, dtype=np.int32)


def _gunzipped(content: bytes) -> tuple[bytes, int, bytes]:
    """Take a gzip file of one member apart: its header, its level and its content.

    Raises:
        ValueError, zlib.error: it is none, or zlib at no level makes these bytes.
    """
    flags = content[3]
    if content[:3] != _MAGIC or flags not in (_NO_NAME, _NAMED):
        raise ValueError("another form")
    length = 10 if flags == _NO_NAME else content.index(b"\0", 10) + 1
    packed = content[length:-_TRAILER]
    raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed)
    return content[:length], next(level for level in range(1, 10) if _deflated(raw, level) == packed), raw


def _deflated(raw: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(raw) + packer.flush()


def _trailer(raw: bytes) -> bytes:
    return struct.pack("<II", zlib.crc32(raw), len(raw) & 0xFFFFFFFF)
