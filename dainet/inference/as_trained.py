"""A scan next to the training of a bundle: its slices turned as there, and what makes it another kind of scan."""

from __future__ import annotations

import numpy as np
from nibabel import orientations

from dainet.data.formats.orientation import axis_at, display_turn, slice_axis, turned_edges, view_codes
from dainet.data.formats.supported import FORMATS
from dainet.data.scans import Scan
from dainet.data.volume import DataError
from dainet.inference.card import Card

__all__ = ["file_axis", "looks_like_ct", "misfits", "training_turn", "turned", "turned_back"]

_TURNED = {form.name for form in FORMATS if form.turned}
_AS_STORED = orientations.axcodes2ornt("RAS")  # columns, rows and slices are x, y and z
_AIR_HU, _AIR_SHARE = -500, 0.01  # a hundredth of the voxels below: Hounsfield units with air
_FAR = 2  # times outside the training's range of spacing
_EDGES = ("distance of slices", "height of a pixel", "width of a pixel")


def training_turn(scan: Scan, card: Card, asked: str = "auto") -> np.ndarray:
    """Return how a scan's axes become columns, rows and slices, as they lay in the training.

    Slices are cut where the scanner cut them and turned the way up that radiologists use. Of a format that keeps the
    order of its files, they are then turned from there as its training slices lie to this view. A picture, and every
    scan where the training's orientation is unknown, keeps the order of its file.

    Args:
        scan: the scan.
        card: of the bundle; its format and orientation are used.
        asked: the axis of the slices, see `dainet.data.formats.orientation.slice_axis`; for "auto", a training that
            was cut along "superior" has this axis chosen.

    Returns:
        nibabel's orientation array [3, 2], see `dainet.data.formats.orientation.display_turn`.

    Raises:
        DataError: the axis of the slices is unclear, or, for "auto", gives another view of the body than those of a
            training that was cut along an axis of its files.
    """
    if scan.affine is None or scan.edges_mm is None:
        return _AS_STORED
    if asked == "auto" and card.settings.data.slice_axis == "superior":
        asked = "superior"
    axis = slice_axis(scan.voxels.shape, scan.edges_mm, scan.affine, asked, scan.name)
    if not card.orientation:
        return _slices_last(axis)
    upright = display_turn(scan.affine, axis)
    if card.format in _TURNED:
        if asked == "auto" and card.settings.data.slice_axis in tuple("xyz"):
            _check_view(scan, "xyz"[axis], view_codes(scan.affine, axis), card)
        return upright
    of_training = orientations.inv_ornt_aff(orientations.axcodes2ornt(card.orientation), (1, 1, 1))
    return orientations.ornt_transform(upright, display_turn(of_training, axis=2))


def _check_view(scan: Scan, axis: str, view: str, card: Card) -> None:
    """Refuse slices along the axis that a scan suggests, where their view is not that of the training."""
    if view != card.orientation:
        raise DataError(
            f"{scan.name}: its voxels suggest slices along {axis} of the file, whose columns, rows and slices "
            f"point to {view}; expected {card.orientation}, as in the training, which was cut along "
            f"{card.settings.data.slice_axis} of its files; say the axis with --slice-axis",
            scan.name,
        )


def turned(voxels: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Turn an array [X, Y, Z] of a file to slices [D, H, W]."""
    return orientations.apply_orientation(voxels, turn).T


def turned_back(slices: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Turn slices [D, H, W] back to the order of the file, [X, Y, Z]; [N, D, H, W] become [X, Y, Z, N]."""
    return orientations.apply_orientation(slices.T, orientations.ornt_transform(_AS_STORED, turn))


def file_axis(turn: np.ndarray) -> tuple[str, bool]:
    """Return the axis of the file, x, y or z, along which slices lie, and whether their order is reversed."""
    axis = axis_at(turn, 2)
    return "xyz"[axis], bool(turn[axis, 1] < 0)


def looks_like_ct(scan: Scan) -> bool:
    """Tell CT by the DICOM tag or, where there is none, by air in Hounsfield units."""
    return scan.modality == "CT" if scan.modality else _air(scan) >= _AIR_SHARE


def _air(scan: Scan) -> float:
    return float((scan.voxels < _AIR_HU).mean())


def misfits(scan: Scan, turn: np.ndarray, card: Card) -> list[str]:
    """List, one sentence each, by what a scan differs so far from the training that no prediction can be expected.

    These are the modality, by its DICOM tag or by air in Hounsfield units, and voxel edges more than twice as large, or
    less than half as large, as those of all training patients.
    """
    return _modality_misfit(scan, card) + _spacing_misfits(scan, turn, card)


def _modality_misfit(scan: Scan, card: Card) -> list[str]:
    expected = "CT" if card.is_ct else "no CT" if card.dataset == "custom" else "MR"
    if scan.modality:
        fits = scan.modality != "CT" if expected == "no CT" else scan.modality == expected
        return [] if fits else [f"found {scan.modality} by its DICOM tag; expected {expected}"]
    if looks_like_ct(scan) == card.is_ct:
        return []
    found = f"{_air(scan):.1%} of its voxels are below {_AIR_HU}, where air lies in Hounsfield units"
    return [f"found {'no CT' if card.is_ct else 'CT'} ({found}); expected {expected}"]


def _spacing_misfits(scan: Scan, turn: np.ndarray, card: Card) -> list[str]:
    if scan.edges_mm is None or card.spacing_mm is None:
        return []
    edges = turned_edges(scan.edges_mm, turn)
    return [
        f"found a {name} of {edge:.3g} mm; expected {low:.3g} to {high:.3g} mm, or at most {_FAR} times off"
        for name, edge, low, high in zip(_EDGES, edges[::-1], *card.spacing_mm, strict=True)
        if not low / _FAR <= edge <= high * _FAR
    ]


def _slices_last(axis: int) -> np.ndarray:
    """Return the turn that puts one axis last and leaves the order and the directions of the others."""
    places = [place for place in range(3) if place != axis]
    turn = np.ones((3, 2))
    turn[[*places, axis], 0] = range(3)
    return turn
