"""Data sets that `prepare.py check` looks at, and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dainet.data.check import Report, check_source
from dainet.settings import DataSettings
from tests.helpers.formats import nnunet, save_nifti
from tests.helpers.samples import discs


def check(folder: Path, dataset: str = "acdc", **values: object) -> Report:
    return check_source(DataSettings.model_validate({"dataset": dataset, "source": str(folder)} | values))


def gt_of(folder: Path, frame: str) -> Path:
    """The label file of a frame of a patient in raw ACDC."""
    return folder / f"{folder.name}_frame{int(frame):02d}_gt.nii.gz"


def save_custom(folder: Path, cases: dict[str, np.ndarray], labels: dict[str, np.ndarray], **options: Any) -> None:
    """nnU-Net data from images and labels [D, H, W] by name."""
    nnunet(folder, names=())
    for name, image in cases.items():
        save_nifti(folder / "imagesTr" / f"{name}_0000.nii.gz", image, **options)
        save_nifti(folder / "labelsTr" / f"{name}.nii.gz", labels[name], **options)


def disc_cases(shape: tuple[int, int, int] = (6, 40, 36)) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Images and labels of the cases a to e."""
    pairs = {name: discs(seed, shape) for seed, name in enumerate("abcde")}
    return {name: image for name, (image, _) in pairs.items()}, {name: label for name, (_, label) in pairs.items()}
