"""Where the scanner cut a volume into slices, and which way up its slices are shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nibabel import orientations

from dainet.data.volume import DataError

__all__ = ["axis_at", "clear_largest", "display_turn", "slice_axis", "turned_edges", "view_codes"]

_AXES = "xyz"  # of a file
_CLEAR = 1.5  # times thicker, or fewer, than the next axis; 512 px of 0.7 mm against 85 slices of 2.5 mm are 3.5 and 6
_NEAR_LEFT = 0.866  # just below the cosine of 30 degrees, so that planes at 30 degrees exactly are sagittal
_TIE = 1e-3  # decides planes halfway between two views, which would else depend on rounding and the order of axes
_LEFT, _BACK, _UP = np.diag([-1.0, -1.0, 1.0])  # in NIfTI's coordinates, which count to the right, to the front and up


def slice_axis(
    shape: Sequence[int], edges_mm: Sequence[float], affine: np.ndarray, asked: str = "auto", what: str = "this scan"
) -> int:
    """Return the axis of a file, 0 for x to 2 for z, along which the scanner cut its slices.

    Args:
        shape: voxels along x, y and z.
        edges_mm: edges of a voxel along x, y and z.
        affine: [4, 4], from voxels to mm to the patient's right, front and top.
        asked: the setting data.slice_axis. "auto" takes the axis whose voxels are clearly longer, or which has clearly
            fewer of them, than the next axis; "superior" the one nearest to the patient's top; "x", "y", "z" this one.
        what: name of the case, for the error.

    Raises:
        DataError: for "auto", neither is clear, or the two point to different axes.
    """
    if asked in _AXES:
        return _AXES.index(asked)
    if asked == "superior":
        return axis_at(orientations.io_orientation(affine), 2)
    thickest, fewest = clear_largest(edges_mm), clear_largest([1 / count for count in shape])
    named = {axis for axis in (thickest, fewest) if axis is not None}
    if len(named) == 1:
        return named.pop()
    found = ", ".join(f"{_AXES[i]} {count} x {edges_mm[i]:.4g} mm" for i, count in enumerate(shape))
    why = (
        f"voxels are longest along {_AXES[thickest]}, but fewest along {_AXES[fewest]}"
        if thickest is not None and fewest is not None
        else f"no axis has voxels {_CLEAR} times longer, or {_CLEAR} times fewer of them, than the next"
    )
    raise DataError(
        f"{what}: along which axis slices were cut is unclear: {found}; {why}; "
        "say it with data.slice_axis, or the option --slice-axis: x, y or z (axis of the file), or superior (the axis "
        "nearest to the head)",
        what,
    )


def clear_largest(values: Sequence[float]) -> int | None:
    """Return the index of the one of three values that is clearly larger than the next one, else None."""
    order = np.argsort(values)
    clear = values[order[2]] >= _CLEAR * values[order[1]] * (1 - 1e-6)  # spacings are stored in float32
    return int(order[2]) if clear else None


def display_turn(affine: np.ndarray, axis: int) -> np.ndarray:
    """Return how a file's axes become columns, rows and slices, the way up that radiologists use.

    Axial and coronal slices, and oblique ones between them, have columns to the patient's left; rows run to the back
    or to the feet, slices to the head or to the back. Planes within 30 degrees of sagittal have columns to the back,
    rows to the feet and slices to the right. No volume is mirrored. docs/data.md says where this can jump.

    Args:
        affine: [4, 4], from voxels to mm to the patient's right, front and top.
        axis: that of the slices, see `slice_axis`.

    Returns:
        nibabel's orientation array [3, 2]: `apply_orientation(array, turn).T` of an array [X, Y, Z] is [D, H, W].
        `apply_orientation(volume.T, ornt_transform(axcodes2ornt("RAS"), turn))` is the array again.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    first, second = (i for i in range(3) if i != axis)
    view = _view(_normal(affine, axis))
    across = np.abs(view[0] @ directions)
    columns, rows = (first, second) if across[first] >= across[second] else (second, first)
    turn = np.empty((3, 2))
    for place, (file_axis, wanted) in enumerate(zip((columns, rows, axis), view, strict=True)):
        turn[file_axis] = place, 1 if wanted @ directions[:, file_axis] >= 0 else -1
    return turn


def view_codes(affine: np.ndarray, axis: int) -> str:
    """Return where columns, rows and slices point after `display_turn`: LPS (axial), LIP (coronal) or PIR (sagittal).

    An oblique plane is named like the straight one whose view it shares.
    """
    left, back, up = np.abs(_normal(affine, axis))
    if left >= _NEAR_LEFT:
        return "PIR"
    return "LIP" if back > up else "LPS"


def axis_at(turn: np.ndarray, turned_axis: int) -> int:
    """Return the axis of the file that a turn makes this one of the columns, rows and slices."""
    return int(np.flatnonzero(turn[:, 0] == turned_axis)[0])


def turned_edges(edges_mm: Sequence[float], turn: np.ndarray) -> np.ndarray:
    """Return voxel edges (x, y, z) in the order of the turned axes."""
    turned = np.empty(3)
    turned[turn[:, 0].astype(int)] = edges_mm
    return turned


def _normal(affine: np.ndarray, axis: int) -> np.ndarray:
    """Unit vector across the slices, in one of its two directions."""
    first, second = (affine[:3, i] for i in range(3) if i != axis)
    normal = np.cross(first, second)
    return normal / np.linalg.norm(normal)


def _view(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the directions that columns, rows and slices of a plane should have, a right-handed system."""
    sagittal = abs(normal[0]) >= _NEAR_LEFT
    through = -_LEFT if sagittal else _BACK + (1 + _TIE) * _UP
    slices = normal if normal @ through >= 0 else -normal
    right = _BACK if sagittal else _LEFT
    columns = right - (right @ slices) * slices
    columns /= np.linalg.norm(columns)
    rows = np.cross(slices, columns)
    return columns + _TIE * rows, rows - _TIE * columns, slices
