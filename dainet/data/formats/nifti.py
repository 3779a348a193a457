"""NIfTI files: reading an image with its label, checking that the two agree, and writing one."""

from __future__ import annotations

import gzip
import io
import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel import orientations

from dainet.data.formats.orientation import display_turn, slice_axis, view_codes
from dainet.data.volume import Case, DataError, Volume, check_claim
from dainet.errors import why_unreadable

__all__ = ["nifti_stem", "packed_nifti", "read_nifti", "read_nifti_pair", "unusual_turn"]

_AS_STORED, _UPRIGHT = orientations.axcodes2ornt("RAS"), orientations.axcodes2ornt("LPS")


def nifti_stem(path: Path) -> str:
    """File name without .nii or .nii.gz; empty for any other file."""
    for ending in (".nii.gz", ".nii"):
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return ""


def read_nifti_pair(case: Case, along: str = "") -> Volume:
    """Read image and label of a case, (x, y, z) on disk, as [D, H, W].

    Args:
        case: its files are the image and the label.
        along: the setting data.slice_axis: slices are cut along this axis, see `slice_axis`, and turned the way up that
            radiologists use, see `display_turn`. Empty: slices lie along z, and only the order of the axes is
            reversed, without any flip (docs/protocol.md#1.2).

    Raises:
        DataError: a file cannot be read or is not a 3-D volume, the two do not cover the same voxels, or the axis of
            the slices is unclear.
    """
    image, label = (_open(case, path) for path in case.files)
    if image.shape == label.shape:
        _check_affines(case, image, label)
    orientation = "".join(axis or "?" for axis in nibabel.aff2axcodes(image.affine))
    turn = _turn(case, image, along) if along else _AS_STORED
    spacing = _turned(image.header.get_zooms()[:3], turn)
    voxels, classes = (
        orientations.apply_orientation(_array(case, nifti, path), turn).T
        for nifti, path in zip((image, label), case.files, strict=True)
    )
    edges = (float(spacing[2]), float(spacing[1]), float(spacing[0]))
    axis = _place(turn, 2)
    view = view_codes(image.affine, axis) if along else orientation
    return Volume(voxels, classes, edges, orientation, "xyz"[axis], view)


def _turned(zooms: tuple[float, ...], turn: np.ndarray) -> np.ndarray:
    """Return voxel edges (x, y, z) in the order of the turned axes."""
    turned = np.empty(3)
    turned[turn[:, 0].astype(int)] = zooms
    return turned


def _turn(case: Case, image: Any, along: str) -> np.ndarray:
    edges = image.header.get_zooms()[:3]
    return display_turn(image.affine, slice_axis(image.shape, edges, image.affine, along, case.case_id))


def _place(turn: np.ndarray, turned_axis: int) -> int:
    """Axis of the file that becomes this one of the columns, rows and slices."""
    return int(np.flatnonzero(turn[:, 0] == turned_axis)[0])


def unusual_turn(case: Case, along: str) -> str:
    """Return how `read_nifti_pair` turns a case, such as "columns -x, rows z, slices y"; usually it returns "".

    The usual turn goes by the nearest axes of the body: columns to the left, rows to the back, slices upwards. Stores
    that were prepared before other turns existed have it, so their keys say nothing about it.
    """
    try:
        image = _open(case, case.files[0])
        turn = _turn(case, image, along)
    except DataError:
        return "refused"  # whatever a store of an earlier version holds; `read_nifti_pair` says why
    if (turn == orientations.ornt_transform(orientations.io_orientation(image.affine), _UPRIGHT)).all():
        return ""
    axes = [_place(turn, turned) for turned in range(3)]
    signed = ["-"[: int(turn[axis, 1] < 0)] + "xyz"[axis] for axis in axes]
    return "columns {}, rows {}, slices {}".format(*signed)


def _open(case: Case, path: Path) -> Any:
    """Read the header only, so that a wrong shape is refused before memory is allocated for voxels."""
    try:
        path.open("rb").close()  # raises a PermissionError, which nibabel hides
        nifti: Any = nibabel.load(path)
        check_claim(path, math.prod(nifti.shape) * nifti.get_data_dtype().itemsize)
    except Exception as error:  # damaged files make libraries raise nearly anything
        raise _unreadable(case, path, error) from error
    if len(nifti.shape) != 3 or 0 in nifti.shape:
        advice = "this looks like the whole film; give one frame" if len(nifti.shape) == 4 else "fetch it again"
        raise DataError(f"{case.case_id}: {path.name} has the shape {nifti.shape}; expected three axes; {advice}")
    edges, affine = _stored_edges(nifti), nifti.affine
    if not (
        all(0 < edge < math.inf for edge in edges) and np.isfinite(affine).all() and np.linalg.matrix_rank(affine) == 4
    ):
        raise DataError(
            f"{case.case_id}: {path.name} has voxel edges of {', '.join(f'{edge:g}' for edge in edges)} mm and the "
            f"affine {affine[:3].tolist()}; expected edges above 0 and an affine that can be inverted; fetch it again"
        )
    return nifti


def _stored_edges(nifti: Any) -> tuple[float, ...]:
    """Return the voxel edges (x, y, z) as they are stored; nibabel itself turns 0 into 1 and drops minus signs."""
    holder = nifti.file_map.get("header", nifti.file_map["image"])
    with holder.get_prepare_fileobj("rb") as file:
        header = type(nifti.header).from_fileobj(file, check=False)
    return tuple(float(edge) for edge in header["pixdim"][1:4])


def _array(case: Case, nifti: Any, path: Path) -> np.ndarray:
    try:
        return np.asanyarray(nifti.dataobj)
    except Exception as error:
        raise _unreadable(case, path, error) from error


def _unreadable(case: Case, path: Path, error: Exception) -> DataError:
    return DataError(f"{case.case_id}: {path.name} cannot be read as NIfTI {why_unreadable(error, path)}")


def _check_affines(case: Case, image: Any, label: Any) -> None:
    """Check that the corners of both volumes lie within half a voxel of each other."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in image.shape], [1], indexing="ij")).reshape(4, -1)
    distance = np.abs((image.affine - label.affine) @ corners)[:3].max()
    if not distance <= 0.5 * min(image.header.get_zooms()[:3]):
        raise DataError(
            f"{case.case_id}: by their affines {case.files[0].name} and {case.files[1].name} lie up to {distance:.1f} "
            "mm apart; expected the same grid; resample the label onto the image or fetch both again"
        )


def read_nifti(path: Path) -> tuple[Any, np.ndarray]:
    """Read one image file: nibabel's image, which has the header, and its voxels [X, Y, Z] in the scanner's units.

    Raises:
        DataError: the file cannot be read or is not a 3-D volume.
    """
    case = Case(nifti_stem(path) or path.stem, "", (path,))
    image = _open(case, path)
    return image, _array(case, image, path)


def packed_nifti(array: np.ndarray, affine: np.ndarray) -> bytes:
    """Return the bytes of a .nii.gz file of voxels [X, Y, Z] in mm, without a time stamp: equal data, equal bytes."""
    image = nibabel.Nifti1Image(np.ascontiguousarray(array), affine)
    image.header.set_xyzt_units("mm")
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=6, mtime=0) as packed:
        packed.write(image.to_bytes())
    return buffer.getvalue()
