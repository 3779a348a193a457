"""A queue that runs the trainings whose scores are missing; any number of such processes may run at once."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dainet import pipeline
from dainet.cache.atomic import write_complete
from dainet.cache.folders import repository_root
from dainet.cache.locks import try_lock
from dainet.cache.records import write_record
from dainet.pipeline import Trained
from dainet.reporting.artifacts import public_settings
from dainet.settings import Settings
from study.plan import Training

__all__ = ["run_queue", "study_folder"]

log = logging.getLogger(__name__)

_COLUMNS = [
    *("model", "train_patients", "seed", "patient", "phase", "case_id", "class", "policy"),
    *("dsc", "hd95_vox", "hd95_mm", "assd_mm", "predicted_voxels", "labeled_voxels"),
    *("spacing_z_mm", "spacing_y_mm", "spacing_x_mm"),
]


def study_folder() -> Path:
    """Return the folder of the study's scores, tables and figures."""
    return repository_root() / "figures" / "acdc-study"


def run_queue(trainings: Sequence[Training], where: Mapping[str, Any], folder: Path) -> int:
    """Run every training whose scores are not in `folder`; return how many ran here.

    Each leaves `scores/NAME.csv` (per test case), `histories/NAME.csv` (per epoch) and `records/NAME.json` (what made
    them); the scores are written last, in one step, so a file that exists is complete. A training that another process
    holds is left to that process.

    Args:
        trainings: see `study.plan.load_plan`.
        where: data, weights and device, by dotted name.
        folder: see `study_folder`.
    """
    return sum(_run_if_free(training, where, folder) for training in trainings)


def _run_if_free(training: Training, where: Mapping[str, Any], folder: Path) -> bool:
    """Run a training that is missing and that no other process holds; return whether it ran here."""
    lock = try_lock(f"study-{training.name}")
    if lock is None:
        return False
    try:
        if (folder / "scores" / f"{training.name}.csv").exists():
            return False
        log.info("%s ...", training.name)
        settings = training.settings(where)
        _publish(training, settings, pipeline.train(settings, training.network, training.seed), folder)
        return True
    finally:
        lock.release()


def _publish(training: Training, settings: Settings, trained: Trained, folder: Path) -> None:
    for kind in ("scores", "histories", "records"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    stage = trained.segmentation
    record = {
        "settings": public_settings(settings),
        "stage": {"segmentation": stage.key, "inputs": stage.record()["inputs"]},
        "selection": json.loads((stage.path / "selection.json").read_text(encoding="utf-8")),
    }
    cases = trained.cases.assign(model=training.model, train_patients=training.patients)[_COLUMNS]
    tables = {"histories": pd.read_csv(stage.path / "history.csv"), "scores": cases}
    texts = {f"../{kind}/{training.name}.csv": table.round(6).to_csv(index=False) for kind, table in tables.items()}
    record["files"] = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    write_record(folder / "records" / f"{training.name}.json", record)
    for name, text in texts.items():
        write_complete(folder / "records" / name, text)
