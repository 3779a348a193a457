"""Samples that many tests share: nested discs as scans, settings that make everything small, a table of scores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from dainet.settings import Settings


def write_h5_source(folder: Path) -> Path:
    """Six patients with two phases of three slices: three nested discs in noise, as SSL4MIS-style h5 volumes."""
    folder.mkdir()
    for number in (1, 2, 4, 5, 19, 90):  # mtunet: 2 is test, 19 is valid, the others train
        for frame in (1, 9):
            image, label = discs(seed=100 * number + frame)
            with h5py.File(folder / f"patient{number:03d}_frame{frame:02d}.h5", "w") as file:
                file["image"], file["label"] = image, label
    return folder


def tiny_overrides(source: Path) -> dict[str, Any]:
    """Settings by dotted name that make everything small."""
    return {
        "device": "cpu",
        "data.source": str(source),
        "vit.image_size": 32,
        "dino.epochs": 1,
        "dino.batch_size": 4,
        "dino.out_dim": 16,
        "dino.global_size": 32,
        "dino.local_size": 16,
        "segmentation.image_size": 32,
        "segmentation.width": 4,
        "segmentation.epochs": 3,
        "segmentation.batch_size": 8,
    }


def changed(settings: Settings, section: str, **values: Any) -> Settings:
    """Return the settings with other values in one of their groups."""
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def write_maps(folder: Path, cases: pd.DataFrame, shape: tuple[int, ...] = (3, 5, 7)) -> Path:
    """Write random maps [slices, *shape] for every case of a prepared store's table; the grid is not square."""
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    for case, slices in cases.groupby("case_id").size().items():
        np.save(folder / f"{case}.npy", generator.random((slices, *shape), dtype=np.float32))
    return folder


def discs(seed: int, shape: tuple[int, int, int] = (3, 40, 36)) -> tuple[np.ndarray, np.ndarray]:
    """Image [D, H, W] float32 and label [D, H, W] uint8 with the classes 1, 2, 3 as nested discs."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    distance = np.hypot(rows - 20 - random.integers(-4, 5), columns - 18 - random.integers(-4, 5))
    label = np.select([distance < 4, distance < 8, distance < 12], [3, 2, 1], 0).astype(np.uint8)
    label = np.repeat(label[None], shape[0], axis=0)
    image = label * 0.25 + random.normal(0, 0.05, shape)
    return image.astype(np.float32), label


def scores(
    model: str = "unet", seeds: tuple[int, ...] = (0,), classes: tuple[str, ...] = ("RV", "Myo", "LV")
) -> pd.DataFrame:
    """Scores of two patients: DSC 0.9, 0.8, 0.7 ... by class, and 0.1 less; 0.02 less for each further seed."""
    lines = []
    for seed in seeds:
        for case_id, shift in (("a", 0.0), ("b", 0.1)):
            for name, value in zip(classes, np.arange(9, 0, -1) / 10, strict=False):
                record = {"model": model, "seed": seed, "patient": case_id, "class": name, "policy": "strict"}
                lines.append(
                    record
                    | {"dsc": value - shift - 0.02 * seed, "hd95_vox": 4.0, "hd95_mm": math.nan, "labeled_voxels": 9}
                )
    return pd.DataFrame(lines)
