"""The prepared store: every slice at one size in memory-mapped arrays, and test volumes on their native grid."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy import ndimage

from dainet.data.sources import find_cases, read_volume, source_folder
from dainet.data.volume import Case, DataError, Volume
from dainet.protocol import load_split
from dainet.settings import DataSettings
from dainet.store import StageResult, hash_file, hash_files, run_stage

__all__ = ["Prepared", "choose_patients", "normalise", "resize_slices", "run_prepared"]

Item = TypeVar("Item")

log = logging.getLogger(__name__)
_VERSION = 1


@dataclass(frozen=True)
class Prepared:
    """An opened prepared store; row i of each array is one slice.

    `images` is float16 [N, H, W], `labels` uint8 [N, H, W], both memory-mapped; `cases` has one line per row with
    case_id, patient, phase, group, slice, split, spacing in mm (empty where unknown), source file and its SHA-256.
    """

    result: StageResult
    images: np.ndarray
    labels: np.ndarray
    cases: pd.DataFrame

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split, in order."""
        return np.flatnonzero(self.cases["split"] == split)

    def volumes(self, split: str) -> dict[str, np.ndarray]:
        """Case id -> its row numbers, base to apex as stored."""
        chosen = self.cases[self.cases["split"] == split]
        return {str(case_id): rows.index.to_numpy(copy=True) for case_id, rows in chosen.groupby("case_id", sort=True)}

    def example_rows(self, split: str, count: int) -> np.ndarray:
        """Rows for a figure, not chosen by eye: the slice with most foreground of `count` evenly spaced volumes."""
        volumes = list(self.volumes(split).values())
        chosen = _evenly_spaced(volumes, min(count, len(volumes)))
        return np.array([rows[np.count_nonzero(self.labels[rows], axis=(1, 2)).argmax()] for rows in chosen])

    def native(self, case_id: str) -> Volume:
        """A test volume on its native grid: normalised image, untouched label, spacing if known."""
        with np.load(self.result.path / "native" / f"{case_id}.npz", allow_pickle=False) as file:
            spacing = file["spacing_mm"]
            known = (float(spacing[0]), float(spacing[1]), float(spacing[2])) if spacing.size else None
            return Volume(file["image"].astype(np.float32), file["label"], known)


def run_prepared(settings: DataSettings, image_size: int, keep_native: bool = True) -> Prepared:
    """Prepare every patient of the split at `image_size` px, or open what an earlier call left.

    Args:
        settings: which data, split and normalisation (paper section 4.1).
        image_size: side of the square slices in px (paper: 224 for the networks, 256 for the ViT).
        keep_native: also keep the test volumes on their native grid, on which they are scored.

    Raises:
        DataError: the source is not recognised, a volume fails its checks, or a split is left without patients.
    """
    folder = source_folder(settings)
    cases = find_cases(folder)
    listed, found = load_split(settings.split), {case.patient for case in cases}
    split = choose_patients(listed, found, settings.train_patients)
    cases = [case for case in cases if case.patient in split]
    files = {path for case in cases for path in (case.image_path, case.label_path)}

    def build(target: Path) -> None:
        log.info("%d of the %d patients of the split are in the source", len(set(listed) & found), len(listed))
        _write(target, cases, split, image_size, settings.normalisation, keep_native)

    result = run_stage(
        "prepared",
        _VERSION,
        {"image_size": image_size, "normalisation": settings.normalisation, "split": split, "native": keep_native},
        {"data": hash_files(files, folder)},
        build,
    )
    return Prepared(
        result,
        np.load(result.path / "images.npy", mmap_mode="r"),
        np.load(result.path / "labels.npy", mmap_mode="r"),
        pd.read_csv(result.path / "cases.csv", keep_default_na=False),
    )


def choose_patients(
    split: Mapping[str, str], found: set[str], train_patients: int | tuple[str, ...] | None
) -> dict[str, str]:
    """The patients of a split that are there, with training patients thinned out on request.

    A number is spread evenly over the sorted training ids, because ACDC's ids are sorted by pathology.

    Raises:
        DataError: no patient is left for training or test, or more or other training patients are asked for than found.
    """
    train = sorted(patient for patient in found if split.get(patient) == "train")
    kept = set(train if train_patients is None else _thin_out(train, train_patients))
    chosen = {p: split[p] for p in sorted(found) if p in split and (split[p] != "train" or p in kept)}
    for name in ("train", "test"):
        if name not in chosen.values():
            raise DataError(f"no {name} patient of the split is among the {len(found)} patients found; check the ids")
    return chosen


def normalise(image: np.ndarray, mode: str) -> np.ndarray:
    """Scale one volume [D, H, W]: "minmax" to [0, 1], "percentile" (0.5 and 99.5 clipped, then [0, 1]), or "zscore".

    Per volume, as SSL4MIS does; the paper does not say (PROTOCOL 5.12).
    """
    if mode == "zscore":
        return (image - image.mean()) / image.std()
    low, high = np.percentile(image, (0.5, 99.5)) if mode == "percentile" else (image.min(), image.max())
    return (np.clip(image, low, high) - low) / (high - low)


def resize_slices(volume: np.ndarray, shape: tuple[int, int], order: int) -> np.ndarray:
    """Resize [D, H, W] to [D, *shape] slice by slice with scipy's zoom, as the peers do (PROTOCOL 1.4).

    Cubic (order 3) overshoots the input range a little; labels use order 0. Pixel centres of the corners stay corners.
    """
    factors = [wanted / found for wanted, found in zip(shape, volume.shape[1:], strict=True)]
    return np.stack([ndimage.zoom(image, factors, order=order) for image in volume])


def _evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _thin_out(train: list[str], wanted: int | tuple[str, ...]) -> list[str]:
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(train):
            raise DataError(f"data.train_patients = {wanted}, but the source holds {len(train)} training patients")
        return _evenly_spaced(train, wanted)
    unknown = sorted(set(wanted) - set(train))
    if unknown:
        raise DataError(f"data.train_patients names {', '.join(unknown)}, not among the training patients found")
    return list(wanted)


def _write(
    target: Path, cases: list[Case], split: Mapping[str, str], size: int, normalisation: str, keep_native: bool
) -> None:
    images, labels, lines = [], [], []
    (target / "native").mkdir(exist_ok=True)
    for case in cases:
        volume = read_volume(case)
        image = normalise(volume.image, normalisation)
        images.append(resize_slices(image, (size, size), order=3).astype(np.float16))
        labels.append(resize_slices(volume.label, (size, size), order=0))
        lines += _case_lines(case, volume, split[case.patient])
        if keep_native and split[case.patient] == "test":
            _save_native(target / "native" / f"{case.case_id}.npz", image, volume)
    np.save(target / "images.npy", np.concatenate(images))
    np.save(target / "labels.npy", np.concatenate(labels))
    pd.DataFrame(lines).to_csv(target / "cases.csv", index=False)


def _save_native(path: Path, image: np.ndarray, volume: Volume) -> None:
    spacing = np.array(volume.spacing_mm or (), dtype=np.float64)
    np.savez(path, image=image.astype(np.float16), label=volume.label, spacing_mm=spacing)


def _case_lines(case: Case, volume: Volume, split: str) -> list[dict[str, object]]:
    z, y, x = volume.spacing_mm or ("", "", "")
    common = {"case_id": case.case_id, "patient": case.patient, "phase": case.phase, "group": case.group}
    spacing = {"spacing_z_mm": z, "spacing_y_mm": y, "spacing_x_mm": x}
    source = {"file": case.image_path.name, "sha256": hash_file(case.image_path)}
    return [common | {"slice": i, "split": split} | spacing | source for i in range(len(volume.image))]
