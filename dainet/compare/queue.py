"""A queue that runs the trainings whose scores are missing; any number of such processes may run at once."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from dainet import pipeline
from dainet.cache.atomic import write_complete
from dainet.cache.locks import try_lock
from dainet.cache.records import read_record, write_record
from dainet.cache.references import remember_figures
from dainet.csv_files import read_csv
from dainet.device import hardware
from dainet.pipeline import Trained
from dainet.reporting.run_identity import public_settings
from dainet.segmentation.evaluation import native_dsc
from dainet.segmentation.stage import load_model
from dainet.settings import Settings

__all__ = ["QueuedTraining", "run_queue"]

log = logging.getLogger(__name__)

_COLUMNS = [
    *("seed", "patient", "group", "phase", "case_id", "class", "policy", "dsc", "dsc_last_epoch"),
    *("hd95_vox", "hd95_mm", "assd_mm", "surface_dice_2mm", "predicted_voxels", "labeled_voxels"),
    *("spacing_z_mm", "spacing_y_mm", "spacing_x_mm"),
]


class QueuedTraining(Protocol):
    """What the queue knows of a training: its file name, network and seed, its columns in tables, its settings."""

    @property
    def name(self) -> str:
        """File name of its scores, without ending."""

    @property
    def network(self) -> str:
        """What `dainet.segmentation.catalog.build` calls it."""

    @property
    def seed(self) -> int:
        """Seed of weights, order and augmentation."""

    @property
    def labels(self) -> Mapping[str, Any]:
        """Columns by which its scores are told from others."""

    def settings(self, where: Mapping[str, Any]) -> Settings:
        """Return its settings; `where` says which data, weights and device, by dotted name."""


def run_queue(
    trainings: Sequence[QueuedTraining], where: Mapping[str, Any], folder: Path, seconds: float | None = None
) -> int:
    """Run every training whose scores are not in `folder`; return how many ran here.

    Each leaves `scores/NAME.csv` (per test case), `histories/NAME.csv` (per epoch) and `records/NAME.json` (what made
    them); the scores are written last, in one step, so a file that exists is complete. A training that another process
    holds is left to that process.

    Args:
        trainings: in the order in which they are to run.
        where: data, weights and device, by dotted name.
        folder: where the scores of these trainings are kept.
        seconds: begin no training that would not end within this time, as long as the same model took on this hardware
            before, or as the longest one here did. The first one begins where neither is known.
    """
    begun, longest, count = time.monotonic(), 0.0, 0
    for training in trainings:
        if (folder / "scores" / f"{training.name}.csv").exists():
            continue
        start = time.monotonic()
        if seconds is not None and start - begun + (_known_seconds(training, folder) or longest) > seconds:
            log.info("no time is left for %s", training.name)
            break
        if _run_if_free(training, where, folder):
            longest, count = max(longest, time.monotonic() - start), count + 1
    return count


def _known_seconds(training: QueuedTraining, folder: Path) -> float:
    """Return how long the same model took at most, on this hardware, by the records; 0 where none tells."""
    here, model = hardware(), training.labels["model"]
    records = [read_record(path) for path in sorted((folder / "records").glob("*.json"))]
    alike = [each for each in records if each.get("model") == model and here.items() <= each.items()]
    return max((each["seconds"] for each in alike), default=0.0)


def _run_if_free(training: QueuedTraining, where: Mapping[str, Any], folder: Path) -> bool:
    """Run a training that is missing and that no other process holds; return whether it ran here."""
    lock = try_lock(f"{folder.name}-{training.name}")
    if lock is None:
        return False
    try:
        if (folder / "scores" / f"{training.name}.csv").exists():
            return False
        log.info("%s ...", training.name)
        begun, settings = time.monotonic(), training.settings(where)
        trained = pipeline.train(settings, training.network, training.seed)
        scores = _with_last_epoch(training, settings, trained)
        _publish(training, settings, trained, scores, time.monotonic() - begun, folder)
        return True
    finally:
        lock.release()


def _with_last_epoch(training: QueuedTraining, settings: Settings, trained: Trained) -> pd.DataFrame:
    """Return the scores with the DSC of the last epoch's weights beside that of the chosen ones."""
    data = pipeline.network_data(settings, training.network)
    last = load_model(settings, training.network, trained.segmentation, data, last_epoch=True)
    cases = trained.cases.merge(native_dsc(last, data.prepared, data), on=["case_id", "class"], validate="many_to_one")
    return cases.assign(**training.labels)[[*training.labels, *_COLUMNS]]


def _publish(
    training: QueuedTraining,
    settings: Settings,
    trained: Trained,
    scores: pd.DataFrame,
    seconds: float,
    folder: Path,
) -> None:
    for kind in ("scores", "histories", "records"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    stage = trained.segmentation
    record = {
        "model": training.labels["model"],
        "seconds": round(seconds, 1),  # a resumed training: since it was resumed
        "settings": public_settings(settings),
        "stage": {"segmentation": stage.key, "inputs": stage.record()["inputs"]},
        "selection": stage.read("selection.json", lambda path: json.loads(path.read_text(encoding="utf-8"))),
    }
    tables = {"histories": stage.read("history.csv", partial(read_csv, numbers="all")), "scores": scores}
    texts = {f"../{kind}/{training.name}.csv": table.round(6).to_csv(index=False) for kind, table in tables.items()}
    record["files"] = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    write_record(folder / "records" / f"{training.name}.json", record)
    remember_figures(folder)
    for name, text in texts.items():
        write_complete(folder / "records" / name, text)
