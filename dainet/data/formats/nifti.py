"""NIfTI files: opening one by its header, reading its voxels, and writing one."""

from __future__ import annotations

import gzip
import io
import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from dainet.data.volume import DataError, check_claim
from dainet.errors import why_unreadable

__all__ = ["nifti_stem", "nifti_voxels", "open_nifti", "packed_nifti", "read_nifti"]


_OTHER_UNITS = {1: "meters", 3: "micrometers"}  # by the lowest three bits of xyzt_units; 2 are mm, 0 is unknown


def nifti_stem(path: Path) -> str:
    """File name without .nii or .nii.gz; empty for any other file."""
    for ending in (".nii.gz", ".nii"):
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return ""


def open_nifti(path: Path) -> Any:
    """Read the header only, so that a wrong shape is refused before memory is allocated for voxels.

    Returns:
        nibabel's image, for `nifti_voxels`.

    Raises:
        DataError: the file cannot be read or is not a 3-D volume, or its voxels have no size or place, or none in mm.
    """
    try:
        path.open("rb").close()  # raises a PermissionError, which nibabel hides
        nifti = _without_single_axes(nibabel.load(path))
        check_claim(path, math.prod(nifti.shape) * nifti.get_data_dtype().itemsize)
    except Exception as error:  # damaged files make libraries raise nearly anything
        raise _unreadable(path, error) from error
    if len(nifti.shape) != 3 or 0 in nifti.shape:
        advice = "this looks like the whole film; give one frame" if len(nifti.shape) == 4 else "fetch it again"
        raise DataError(f"{path.name} has the shape {nifti.shape}; expected three axes; {advice}")
    _check_voxels(path, nifti)
    return nifti


def _without_single_axes(nifti: Any) -> Any:
    """Drop axes of length 1 behind the third, which some tools write for one frame; reads no voxel."""
    if set(nifti.shape[3:]) != {1}:
        return nifti
    frame = nifti.dataobj.reshape(nifti.shape[:3])
    return type(nifti)(frame, nifti.affine, nifti.header, file_map=nifti.file_map)


def _check_voxels(path: Path, nifti: Any) -> None:
    """Check that voxels have a size and a place, in mm."""
    edges, affine = _stored_edges(nifti), nifti.affine
    if not (
        all(0 < edge < math.inf for edge in edges) and np.isfinite(affine).all() and np.linalg.matrix_rank(affine) == 4
    ):
        raise DataError(
            f"{path.name} has voxel edges of {', '.join(f'{edge:g}' for edge in edges)} mm and the affine "
            f"{affine[:3].tolist()}; expected edges above 0 and an affine that can be inverted; fetch it again"
        )
    units = int(nifti.header["xyzt_units"]) % 8 if isinstance(nifti.header, nibabel.Nifti1Header) else 0
    if units in _OTHER_UNITS:
        raise DataError(
            f"{path.name} gives its geometry in {_OTHER_UNITS[units]} (xyzt_units); expected mm; convert the file, or "
            "correct its header"
        )


def nifti_voxels(nifti: Any, path: Path) -> np.ndarray:
    """Read the voxels [X, Y, Z] of an image of `open_nifti` in the scanner's units.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return np.asanyarray(nifti.dataobj)
    except Exception as error:
        raise _unreadable(path, error) from error


def read_nifti(path: Path) -> tuple[Any, np.ndarray]:
    """Read one image file: nibabel's image, which has the header, and its voxels [X, Y, Z] in the scanner's units.

    Raises:
        DataError: see `open_nifti`.
    """
    nifti = open_nifti(path)
    return nifti, nifti_voxels(nifti, path)


def _stored_edges(nifti: Any) -> tuple[float, ...]:
    """Return the voxel edges (x, y, z) as they are stored; nibabel itself turns 0 into 1 and drops minus signs."""
    holder = nifti.file_map.get("header", nifti.file_map["image"])
    with holder.get_prepare_fileobj("rb") as file:
        header = type(nifti.header).from_fileobj(file, check=False)
    return tuple(float(edge) for edge in header["pixdim"][1:4])


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path.name} cannot be read as NIfTI {why_unreadable(error, path)}")


def packed_nifti(array: np.ndarray, affine: np.ndarray) -> bytes:
    """Return the bytes of a .nii.gz file of voxels [X, Y, Z] in mm, without a time stamp: equal data, equal bytes."""
    image = nibabel.Nifti1Image(np.ascontiguousarray(array), affine)
    image.header.set_xyzt_units("mm")
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=6, mtime=0) as packed:
        packed.write(image.to_bytes())
    return buffer.getvalue()
