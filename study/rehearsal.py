"""Simulated scores of a plan, with which its whole report is rehearsed before the first training."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dainet.compare.plan import Plan, Training
from dainet.protocol import CLASSES
from study.folds import pathology_of

__all__ = ["NOTE", "simulate_scores"]

NOTE = "SIMULATED SCORES, no result: all networks are equal"
_CHAOS = ("liver", "right kidney", "left kidney", "spleen")
_LEVEL, _BETWEEN_PATIENTS, _TRAININGS, _LUCK = 90.0, 3.0, 0.2, 0.56  # points, as in docs/claims.md, "What it can find"


def simulate_scores(plan: Plan, folder: Path) -> None:
    """Write scores and histories of every training of a plan as `dainet.compare.queue` does, drawn by chance."""
    for kind in ("scores", "histories"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for training in plan.trainings():
        patients = sorted(patient for patient, split in plan.split(training.fold).items() if split == "test")
        lines = _scores(plan, training, patients)
        pd.DataFrame(lines).to_csv(folder / "scores" / f"{training.name}.csv", index=False)
        rise = 0.9 - 0.5 / np.arange(1, 11)
        history = pd.DataFrame(
            {"epoch": np.arange(1, 11), "loss": 1 - rise, "dsc": rise + _random(training.name).normal(0, 0.002)}
        )
        history.to_csv(folder / "histories" / f"{training.name}.csv", index=False)


def _scores(plan: Plan, training: Training, patients: Sequence[str]) -> list[dict[str, Any]]:
    acdc = plan.dataset == "acdc"
    random, lines = _random(training.name), []
    shift = random.normal(0, _TRAININGS)
    for patient in patients:
        own = _random(patient)
        points = _LEVEL + own.normal(0, _BETWEEN_PATIENTS) + shift + random.normal(0, _LUCK)
        names = CLASSES["acdc"].names if acdc else _CHAOS
        sizes = dict(zip(names, own.integers(2000, 9000, len(names)).tolist(), strict=True))
        for phase in ("ED", "ES") if acdc else ("",):
            for name in names:
                labeled = sizes[name] // 2 if phase == "ES" else sizes[name]
                line = training.labels | {"seed": training.seed, "patient": patient, "phase": phase, "class": name}
                line |= {"group": pathology_of(patient) if acdc else "", "policy": "strict"}
                line |= {"case_id": f"{patient}_{phase}", "dsc": points / 100, "dsc_last_epoch": points / 100}
                line |= {"hd95_vox": 2.0, "hd95_mm": random.gamma(2, 3), "assd_mm": random.gamma(2, 0.5)}
                line |= {"surface_dice_2mm": 0.9, "labeled_voxels": labeled}
                line |= {"predicted_voxels": int(labeled * random.normal(1, 0.05))}
                lines.append(line | {"spacing_z_mm": 10.0, "spacing_y_mm": 1.5, "spacing_x_mm": 1.5})
    return lines


def _random(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))
