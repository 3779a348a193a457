"""Simulated scores of a plan, with which its whole report is rehearsed before the first training."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dainet.compare.plan import Plan, Training
from dainet.compare.simulation import Truth
from dainet.protocol import CLASSES
from study.folds import pathology_of

__all__ = ["EQUAL", "NOTE", "simulate_scores"]

NOTE = "SIMULATED SCORES, no result: all networks are equal"
_CHAOS = ("liver", "right kidney", "left kidney", "spleen")
_LEVEL, _BETWEEN_PATIENTS = 90.0, 3.0  # points
EQUAL = Truth(patients=0.0)  # one function under several names; spreads as in docs/claims.md, "What it can find"


def simulate_scores(plan: Plan, folder: Path, truth: Truth = EQUAL, salt: str = "") -> None:
    """Write scores and histories of every training of a plan as `dainet.compare.queue` does, drawn by chance.

    Args:
        plan: the first network of its first comparison is better by `truth.effect`; all others are equal.
        folder: gets scores/ and histories/.
        truth: how scores scatter.
        salt: another text gives another draw.
    """
    for kind in ("scores", "histories"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for training in plan.trainings():
        patients = sorted(patient for patient, split in plan.split(training.fold).items() if split == "test")
        lines = _scores(plan, training, patients, truth, salt)
        pd.DataFrame(lines).to_csv(folder / "scores" / f"{training.name}.csv", index=False)
        rise = 0.9 - 0.5 / np.arange(1, 11)
        history = pd.DataFrame(
            {"epoch": np.arange(1, 11), "loss": 1 - rise, "dsc": rise + _random(training.name + salt).normal(0, 0.002)}
        )
        history.to_csv(folder / "histories" / f"{training.name}.csv", index=False)


def _scores(plan: Plan, training: Training, patients: Sequence[str], truth: Truth, salt: str) -> list[dict[str, Any]]:
    acdc = plan.dataset == "acdc"
    random, lines = _random(training.name + salt), []
    better = bool(plan.comparisons) and training.model == plan.comparisons[0].first
    shift = truth.trainings * random.standard_normal()
    for patient in patients:
        own = _random(patient + salt)
        points = _LEVEL + _BETWEEN_PATIENTS * _draw(own, truth) + shift + truth.luck * _draw(random, truth)
        if better:
            points += truth.effect + truth.patients * _draw(_random(f"{patient} differs{salt}"), truth)
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


def _draw(random: np.random.Generator, truth: Truth) -> float:
    return float(random.standard_t(4) / np.sqrt(2) if truth.heavy else random.standard_normal())


def _random(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))
