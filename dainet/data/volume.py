"""One annotated volume: its files, its arrays, and the checks that every format must pass."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dainet.errors import InputError

__all__ = ["Case", "DataError", "Volume", "check_claim", "check_name", "checked", "fullest_slice"]

_MOST_DEFLATE = 1032  # greatest ratio of content to compressed size that gzip, zip and HDF5 (deflate) can reach


class DataError(InputError):
    """Something in the data would spoil a run; the message names case or file, what was found and what to do.

    `patient` is the patient concerned, empty if it concerns all.
    """

    def __init__(self, message: str, patient: str = "") -> None:
        super().__init__(message)
        self.patient = patient


def check_claim(path: Path, claimed_bytes: int) -> None:
    """Refuse, before memory is allocated, a header that announces more voxels than a file of this size can hold."""
    held = path.stat().st_size
    if claimed_bytes > _MOST_DEFLATE * held:
        raise ValueError(f"the header claims {claimed_bytes / 1e9:.3g} GB of voxels, but the file has {held} bytes")


def check_name(path: Path) -> None:
    """Refuse a path that is not UTF-8: libraries in C++ end the whole process over it.

    Raises:
        DataError: the path, in ASCII.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"the name {str(path)!a} is not UTF-8; rename it") from error


@dataclass(frozen=True)
class Case:
    """The files of one annotated volume."""

    patient: str  # "patient001", "case0005"
    phase: str  # "ED" (end-diastole, heart relaxed), "ES" (end-systole, heart contracted); empty for a single scan
    files: tuple[Path, ...]  # image and label, or one file with both, or one file per slice
    group: str = ""  # pathology (NOR, DCM, HCM, MINF, RV), empty where the format does not say

    @property
    def case_id(self) -> str:
        """Name of the case, such as "patient001_ED", or "case0005" if there is no phase."""
        return f"{self.patient}_{self.phase}" if self.phase else self.patient

    def __str__(self) -> str:
        """Name the case and its files for messages; of many slices the first and the last."""
        ends = dict.fromkeys((self.files[0].name, self.files[-1].name))
        return f"{self.case_id} ({(' to ' if len(self.files) > 2 else ' and ').join(ends)})"


@dataclass(frozen=True)
class Volume:
    """Image and label of a case on its native grid, both [D, H, W].

    As read from a format: any number type, labels as stored. After `checked`: image float32 in the scanner's units,
    label uint8 with the kit's class numbers, 0 = background. `spacing_mm` is (z, y, x) or None if the format does
    not store it; it is never guessed. `orientation` names the directions of the file's axes x, y, z, such as "LAS";
    `sliced_along` is the one that became D, "x", "y" or "z"; `view` says where columns, rows and slices point, such as
    "LPS". The three are empty where a format has no such axes.
    """

    image: np.ndarray
    label: np.ndarray
    spacing_mm: tuple[float, float, float] | None = None
    orientation: str = ""
    sliced_along: str = ""
    view: str = ""

    @property
    def sha256(self) -> str:
        """SHA-256 of the image's voxels, which identifies a scan whatever its files are called."""
        return hashlib.sha256(self.image.tobytes()).hexdigest()


def checked(case: Case, volume: Volume, label_map: Mapping[int, int]) -> Volume:
    """Map the labels after checking what would otherwise surface hours later as a NaN or a CUDA assert.

    Args:
        case: named in every error.
        volume: as a format's reader gives it.
        label_map: stored label -> class number; any other label is an error (docs/protocol.md#6.9).

    Raises:
        DataError: wrong number of axes, different shapes, an empty array, NaN or infinity, a constant image, labels
            that are not whole numbers or not in the map.
    """
    image, label = volume.image, volume.label
    if image.ndim != 3 or image.shape != label.shape or not image.size:
        raise DataError(
            f"{case}: image {image.shape} and label {label.shape}; expected two equal shapes [slices, height, width]; "
            "fetch both again"
        )
    if image.dtype.kind not in "iufb" or label.dtype.kind not in "iufb":
        raise DataError(f"{case}: image of type {image.dtype} and label of type {label.dtype}; expected numbers")
    with np.errstate(over="ignore"):
        image = image.astype(np.float32)  # before the checks: 1e39 becomes infinite, and a faint image becomes constant
    if not np.isfinite(image).all():
        raise DataError(
            f"{case}: found NaN or infinite gray values; repair the file or leave the patient out of the split"
        )
    if image.min() == image.max():
        raise DataError(f"{case}: every voxel is {image.min()}, so the image is empty; fetch it again")
    return replace(volume, image=image, label=_mapped(case, label, label_map))


def _mapped(case: Case, label: np.ndarray, label_map: Mapping[int, int]) -> np.ndarray:
    """Map stored labels to class numbers through a table of 256 entries."""
    if label.dtype.kind == "f" and not (label == np.rint(label)).all():
        example = label[label != np.rint(label)][0]
        raise DataError(
            f"{case}: labels such as {example:.3g}; expected whole numbers; resample labels without interpolation"
        )
    expected = f"expected {_listed(label_map)}; map the labels to these, or choose the data set that they belong to"
    if label.min() < 0 or label.max() > 255:
        raise DataError(f"{case}: found labels from {label.min():g} to {label.max():g}, {expected}")
    stored = label.astype(np.uint8)
    found = np.flatnonzero(sum(np.bincount(plane.ravel(), minlength=256) for plane in stored))
    if not set(found.tolist()) <= set(label_map):
        raise DataError(f"{case}: found the labels {found.tolist()[:20]}, {expected}")
    table = np.zeros(256, np.uint8)
    table[list(label_map)] = list(label_map.values())
    return table[stored]


def _listed(label_map: Mapping[int, int]) -> str:
    values = sorted(label_map)
    return f"0 to {values[-1]}" if values == list(range(len(values))) else ", ".join(map(str, values))


def fullest_slice(label: np.ndarray) -> int:
    """Index of the slice of a label [D, H, W] to show: the one with most classes, then with most foreground."""
    counts = [np.bincount(plane.ravel())[1:] for plane in label]
    return max(range(len(label)), key=lambda z: (np.count_nonzero(counts[z]), counts[z].sum()))
