"""A volume with its label in two files, NIfTI, NRRD or MetaImage: read, compared, and turned upright."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel import orientations

from dainet.data.formats.nifti import nifti_stem, nifti_voxels, open_nifti
from dainet.data.formats.orientation import axis_at, display_turn, slice_axis, turned_edges, view_codes
from dainet.data.volume import Case, DataError, Volume

__all__ = ["read_pair", "unusual_turn", "volume_stem"]

_AS_STORED, _UPRIGHT = orientations.axcodes2ornt("RAS"), orientations.axcodes2ornt("LPS")
_ITK_ENDINGS = (".nrrd", ".mha")  # with header and voxels in one file, which keys in the cache can follow


@dataclass(frozen=True)
class _File:
    """A file whose header was read: voxels and edges along x, y, z, the affine to mm in RAS, how to read [X, Y, Z]."""

    shape: tuple[int, ...]
    edges_mm: Sequence[float]
    affine: np.ndarray
    read: Callable[[], np.ndarray]


def volume_stem(path: Path) -> str:
    """File name without the ending of a volume that `read_pair` reads; empty for any other file."""
    itk = path.suffix.lower() in _ITK_ENDINGS
    return path.stem if itk else nifti_stem(path)


def read_pair(case: Case, along: str = "") -> Volume:
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
    spacing = turned_edges(image.edges_mm, turn)
    voxels, classes = (orientations.apply_orientation(_array(case, file), turn).T for file in (image, label))
    edges = (float(spacing[2]), float(spacing[1]), float(spacing[0]))
    axis = axis_at(turn, 2)
    view = view_codes(image.affine, axis) if along else orientation
    return Volume(voxels, classes, edges, orientation, "xyz"[axis], view)


def _turn(case: Case, image: _File, along: str) -> np.ndarray:
    axis = slice_axis(image.shape, image.edges_mm, image.affine, along, case.case_id)
    return display_turn(image.affine, axis)


def unusual_turn(case: Case, along: str) -> str:
    """Return how `read_pair` turns a case, such as "columns -x, rows z, slices y"; usually it returns "".

    The usual turn goes by the nearest axes of the body: columns to the left, rows to the back, slices upwards. Stores
    that were prepared before other turns existed have it, so their keys say nothing about it.
    """
    try:
        image = _open(case, case.files[0])
        turn = _turn(case, image, along)
    except DataError:
        return "refused"  # whatever a store of an earlier version holds; `read_pair` says why
    if (turn == orientations.ornt_transform(orientations.io_orientation(image.affine), _UPRIGHT)).all():
        return ""
    axes = [axis_at(turn, turned) for turned in range(3)]
    signed = ["-"[: int(turn[axis, 1] < 0)] + "xyz"[axis] for axis in axes]
    return "columns {}, rows {}, slices {}".format(*signed)


def _open(case: Case, path: Path) -> _File:
    try:
        if path.suffix.lower() in _ITK_ENDINGS:
            from dainet.data.formats.itk import itk_grid, read_itk  # SimpleITK, 50 MB that a lent machine lacks

            grid = itk_grid(path)
            return _File(grid.shape, grid.edges_mm, grid.affine, lambda: read_itk(path).voxels)
        nifti = open_nifti(path)
    except DataError as error:
        raise _of(case, error) from error
    return _File(nifti.shape, nifti.header.get_zooms()[:3], nifti.affine, lambda: nifti_voxels(nifti, path))


def _array(case: Case, file: _File) -> np.ndarray:
    try:
        return file.read()
    except DataError as error:
        raise _of(case, error) from error


def _of(case: Case, error: DataError) -> DataError:
    return DataError(f"{case.case_id}: {error}")


def _check_affines(case: Case, image: _File, label: _File) -> None:
    """Check that the corners of both volumes lie within half a voxel of each other."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in image.shape], [1], indexing="ij")).reshape(4, -1)
    distance = np.abs((image.affine - label.affine) @ corners)[:3].max()
    if not distance <= 0.5 * min(image.edges_mm):
        raise DataError(
            f"{case.case_id}: by their affines {case.files[0].name} and {case.files[1].name} lie up to {distance:.1f} "
            "mm apart; expected the same grid; resample the label onto the image or fetch both again"
        )
