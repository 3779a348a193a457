"""One annotated volume: where it is, what it holds, and the checks every format must pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Case", "DataError", "Volume", "checked_volume"]


class DataError(ValueError):
    """Something in the data would spoil a run; the message names case or file, what was found and what to do."""


@dataclass(frozen=True)
class Case:
    """The files of one annotated phase of one patient."""

    patient: str  # "patient001"
    phase: str  # "ED" (end-diastole, heart relaxed) or "ES" (end-systole, heart contracted)
    image_path: Path
    label_path: Path  # the same file where a format keeps both together
    group: str = ""  # pathology (NOR, DCM, HCM, MINF, RV), empty where the format does not say

    @property
    def case_id(self) -> str:
        """Such as "patient001_ED"."""
        return f"{self.patient}_{self.phase}"


@dataclass(frozen=True)
class Volume:
    """Image and label of a case on its native grid.

    `image` is float32 [D, H, W] in the scanner's units, `label` uint8 [D, H, W] with 0 = background;
    `spacing_mm` is (z, y, x) or None where the format does not store it. It is never guessed.
    """

    image: np.ndarray
    label: np.ndarray
    spacing_mm: tuple[float, float, float] | None


def checked_volume(
    case: Case, image: np.ndarray, label: np.ndarray, spacing_mm: tuple[float, float, float] | None, classes: int
) -> Volume:
    """Build a volume after checking what would otherwise surface hours later as a NaN or a CUDA assert.

    Args:
        case: named in every error.
        image: [D, H, W], any number type.
        label: [D, H, W], whole numbers 0..classes.
        spacing_mm: (z, y, x) or None.
        classes: number of foreground classes.

    Raises:
        DataError: wrong number of axes, different shapes, NaN or infinity, a constant image, a label out of range.
    """
    if image.ndim != 3 or image.shape != label.shape:
        raise DataError(
            f"{case.case_id} ({case.image_path.name}): image {image.shape} and label {label.shape}; "
            "expected two equal shapes [slices, height, width]"
        )
    if not np.isfinite(image).all():
        raise DataError(f"{case.case_id} ({case.image_path.name}): NaN or infinite grey values; repair or exclude it")
    if image.min() == image.max():
        raise DataError(f"{case.case_id} ({case.image_path.name}): every voxel is {image.min()}; the image is empty")
    values = np.unique(label)
    if not np.isin(values, np.arange(classes + 1)).all():
        raise DataError(
            f"{case.case_id} ({case.label_path.name}): found the labels {values.tolist()[:10]}, "
            f"expected whole numbers 0 to {classes}; map other labels to these first"
        )
    return Volume(image.astype(np.float32), label.astype(np.uint8), spacing_mm)
