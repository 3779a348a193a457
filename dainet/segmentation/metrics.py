"""DSC, surface distances and voxel counts of one volume, and the two policies for a class that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from medpy.metric import binary
from scipy import ndimage

from dainet.errors import InputError

__all__ = ["POLICIES", "dice", "hd95", "score_volume", "surface_dice"]

POLICIES = ("strict", "peer")
_OTHER_SLICE_MM = 1e6  # no distance leads from one slice to another


def dice(prediction: np.ndarray, label: np.ndarray) -> float:
    """Compute the Dice coefficient `2|A n B| / (|A| + |B|)` of two boolean masks; NaN where both are empty.

    Raises:
        InputError: the masks differ in shape or are not boolean.
    """
    _check_masks(prediction, label)
    total = np.count_nonzero(prediction) + np.count_nonzero(label)
    return 2 * np.count_nonzero(prediction & label) / total if total else float("nan")


def hd95(prediction: np.ndarray, label: np.ndarray, spacing: Sequence[float] | None = None) -> float:
    """Compute the 95th percentile of the pooled surface distances of two masks, by medpy.

    Both masks are first cut to their joint bounding box plus one voxel, which is faster and gives the same number.

    Args:
        prediction: [D, H, W], boolean.
        label: [D, H, W], boolean.
        spacing: edge of a voxel per axis (mm); None counts in voxels, as every peer does (docs/protocol.md#1.5).

    Raises:
        InputError: a mask is empty, so that no surface exists; the masks differ in shape or are not boolean; or an edge
            is not above 0.
    """
    _check_masks(prediction, label)
    _check_spacing(spacing, label.ndim)
    if not prediction.any() or not label.any():
        raise InputError("hd95 needs two non-empty masks; `score_volume` has the policies for empty masks")
    box = _joint_box([ndimage.find_objects((prediction | label).view(np.uint8))[0]])
    return float(binary.hd95(prediction[box], label[box], voxelspacing=spacing))


def surface_dice(
    prediction: np.ndarray, label: np.ndarray, spacing_mm: Sequence[float], tolerance_mm: float = 2.0
) -> float:
    """Compute the share of both outlines, slice by slice, that lies within a tolerance of the other one, in the slice.

    An outline holds the pixels of a mask with a neighbor (left, right, above, below) outside it; every pixel counts
    once (as MONAI's `compute_surface_dice` does). NaN where both masks are empty.

    Args:
        prediction: [D, H, W], boolean.
        label: [D, H, W], boolean.
        spacing_mm: edges of a voxel (z, y, x); slices are too far apart for z to count.
        tolerance_mm: what is as good as no distance.

    Raises:
        InputError: the masks differ in shape or are not boolean volumes, or an edge is not above 0.
    """
    _check_masks(prediction, label)
    _check_spacing(spacing_mm, 3)
    cross = ndimage.generate_binary_structure(2, 1)[None]
    outlines = [mask & ~ndimage.binary_erosion(mask, cross) for mask in (prediction, label)]
    total = sum(np.count_nonzero(outline) for outline in outlines)
    if not total:
        return float("nan")
    if not all(outline.any() for outline in outlines):
        return 0.0
    far = (_OTHER_SLICE_MM, *spacing_mm[1:])
    distances = [ndimage.distance_transform_edt(~outline, sampling=far) for outline in outlines]
    near = sum(np.count_nonzero(distances[1 - i][outlines[i]] <= tolerance_mm) for i in (0, 1))
    return near / total


def score_volume(
    prediction: np.ndarray,
    label: np.ndarray,
    class_names: Sequence[str],
    spacing_mm: Sequence[float] | None,
) -> list[dict[str, Any]]:
    """Score every foreground class of a volume under both policies.

    The policies agree wherever both masks hold the class, and differ in the empty cases:

    - "peer" (TransUNet utils.py:48-58): prediction empty -> DSC 0, HD95 0, even if the class is truly absent; only the
      label empty -> DSC 1, HD95 0. A missed organ gets a perfect distance, a hallucinated one a perfect Dice.
    - "strict": both empty -> NaN, left out of means; only one empty -> DSC 0 and, as HD95, the diagonal of the volume,
      the largest possible distance.

    Args:
        prediction: [D, H, W], whole numbers from 0 (background) to the number of classes.
        label: [D, H, W], likewise.
        class_names: names of the labels 1, 2, ...
        spacing_mm: edges of a voxel (z, y, x), or None where unknown; then what needs millimeters is NaN.

    Returns:
        One record per class and policy: class, policy, dsc (0..1), hd95_vox (voxels), hd95_mm, assd_mm (average
        symmetric surface distance, by medpy), surface_dice_2mm (0..1; of a missing class, NaN or 0 as strict DSC),
        predicted_voxels, labeled_voxels.

    Raises:
        InputError: the volumes differ in shape or hold other numbers, or an edge is not above 0.
    """
    _check_labels(prediction, label, len(class_names))
    _check_spacing(spacing_mm, 3)
    predicted, labeled = (ndimage.find_objects(volume, len(class_names)) for volume in (prediction, label))
    records = []
    for value, (name, p, y) in enumerate(zip(class_names, predicted, labeled, strict=True), start=1):
        if p and y:
            box = _joint_box([p, y])
            scores = dict.fromkeys(POLICIES, _scores(prediction[box] == value, label[box] == value, spacing_mm))
        else:
            case = bool(p), bool(y), label.shape, spacing_mm
            scores = {policy: _empty_scores(*case, policy) for policy in POLICIES}
        sizes = {"predicted_voxels": _count(prediction, p, value), "labeled_voxels": _count(label, y, value)}
        records += [{"class": name, "policy": policy, **values, **sizes} for policy, values in scores.items()]
    return records


def _check_masks(prediction: np.ndarray, label: np.ndarray) -> None:
    if prediction.shape != label.shape or prediction.dtype != bool or label.dtype != bool:
        found = " and ".join(f"{mask.dtype} {tuple(mask.shape)}" for mask in (prediction, label))
        raise InputError(f"masks: found {found}; expected two of type bool and of one shape, such as label == 1")


def _check_labels(prediction: np.ndarray, label: np.ndarray, classes: int) -> None:
    for volume in (prediction, label):
        if volume.dtype.kind not in "iu" or volume.ndim != 3 or volume.shape != label.shape or not volume.size:
            found = " and ".join(f"{item.dtype} {item.shape}" for item in (prediction, label))
            raise InputError(f"volumes: found {found}; expected whole numbers in one shape [slices, height, width]")
        if not 0 <= volume.min() <= volume.max() <= classes:
            found = f"labels from {volume.min()} to {volume.max()}"
            raise InputError(f"volumes: found {found}; expected 0 to {classes}, the number of class names")


def _check_spacing(spacing: Sequence[float] | None, axes: int) -> None:
    if spacing is not None and (len(spacing) != axes or not all(0 < edge < np.inf for edge in spacing)):
        raise InputError(f"spacing: found {tuple(spacing)}; expected {axes} edges above 0, or None where unknown")


def _count(volume: np.ndarray, box: tuple[slice, ...] | None, value: int) -> int:
    """Count the voxels of a label within its bounding box, which is None where the label is absent."""
    return int(np.count_nonzero(volume[box] == value)) if box else 0


def _joint_box(boxes: Sequence[tuple[slice, ...]]) -> tuple[slice, ...]:
    """Return the box around all boxes plus one voxel, so that surfaces are the same as in the whole volume."""
    return tuple(
        slice(max(min(side.start for side in sides) - 1, 0), max(side.stop for side in sides) + 1)
        for sides in zip(*boxes, strict=True)
    )


def _scores(prediction: np.ndarray, label: np.ndarray, spacing_mm: Sequence[float] | None) -> dict[str, float]:
    dsc, voxels = dice(prediction, label), hd95(prediction, label)
    if spacing_mm is None:
        return _record(dsc, voxels, *[float("nan")] * 3)
    mean = float(binary.assd(prediction, label, voxelspacing=spacing_mm))
    return _record(dsc, voxels, hd95(prediction, label, spacing_mm), mean, surface_dice(prediction, label, spacing_mm))


def _empty_scores(
    predicted: bool, labeled: bool, shape: Sequence[int], spacing_mm: Sequence[float] | None, policy: str
) -> dict[str, float]:
    """Return the scores of a class that at least one of the two volumes lacks."""
    nan = float("nan")
    outline = 0.0 if spacing_mm is not None and (predicted or labeled) else nan
    if policy == "peer":
        mm = nan if spacing_mm is None else 0.0
        return _record(float(predicted), 0.0, mm, mm, outline)
    if not predicted and not labeled:
        return _record(nan, nan, nan, nan, nan)
    mm = nan if spacing_mm is None else _diagonal(shape, spacing_mm)
    return _record(0.0, _diagonal(shape, (1, 1, 1)), mm, mm, outline)


def _record(dsc: float, hd95_vox: float, hd95_mm: float, assd_mm: float, outline: float) -> dict[str, float]:
    distances = {"hd95_vox": hd95_vox, "hd95_mm": hd95_mm, "assd_mm": assd_mm}
    return {"dsc": dsc} | distances | {"surface_dice_2mm": outline}


def _diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    return float(np.linalg.norm((np.array(shape) - 1) * np.array(spacing)))
