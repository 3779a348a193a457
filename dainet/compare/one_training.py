"""One training of a plan: run unless another process holds it, repeated once if its loss is not finite, published."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from dainet import pipeline
from dainet.cache.atomic import write_complete
from dainet.cache.locks import try_lock
from dainet.cache.records import write_record
from dainet.cache.references import remember_figures
from dainet.compare.looks import note_look, now
from dainet.csv_files import read_csv
from dainet.errors import NonFiniteError, lacks_gpu_memory
from dainet.pipeline import Trained
from dainet.reporting.run_identity import public_settings
from dainet.segmentation.evaluation import native_dsc
from dainet.segmentation.networks import parameter_count
from dainet.segmentation.stage import load_model
from dainet.settings import SEEDS, Settings

__all__ = ["Outcome", "QueuedTraining", "has_scores", "run_training"]

log = logging.getLogger(__name__)

_COLUMNS = [
    *("seed", "patient", "group", "phase", "case_id", "class", "policy", "dsc", "dsc_last_epoch"),
    *("hd95_vox", "hd95_mm", "assd_mm", "surface_dice_2mm", "predicted_voxels", "labeled_voxels"),
    *("spacing_z_mm", "spacing_y_mm", "spacing_x_mm"),
]
_ANOTHER_SEED = 100  # is added to the seed of a training whose loss was not finite (docs/claims.md)


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


@dataclass(frozen=True)
class Outcome:
    """Whether a training ran here and left its scores; `failure` says why it left none."""

    ran: bool
    failure: str = ""


def has_scores(training: QueuedTraining, folder: Path) -> bool:
    """Whether a training has run: its scores are written last."""
    return (folder / "scores" / f"{training.name}.csv").exists()


def run_training(
    training: QueuedTraining, where: Mapping[str, Any], folder: Path, plan: Mapping[str, str] | None = None
) -> Outcome:
    """Run a training that is missing and that no other process holds (see `dainet.compare.queue.run_queue`).

    A training whose loss is not finite is repeated once with its seed + 100, and its record says so. If that fails too,
    or memory does not suffice, nothing is published.
    """
    lock = try_lock(f"{folder.name}-{training.name}")
    if lock is None:
        return Outcome(ran=False)
    try:
        if has_scores(training, folder):
            return Outcome(ran=False)
        _run(training, where, folder, plan)
        return Outcome(ran=True)
    except Exception as error:
        if not (isinstance(error, (NonFiniteError, MemoryError)) or lacks_gpu_memory(error)):
            raise
        return Outcome(ran=False, failure=f"{training.name}: {str(error) or 'no memory is left'}")
    finally:
        lock.release()


def _run(training: QueuedTraining, where: Mapping[str, Any], folder: Path, plan: Mapping[str, str] | None) -> None:
    begun, settings = time.monotonic(), training.settings(where)
    facts: dict[str, Any] = {"date": now()} | ({"plan": dict(plan)} if plan else {})
    trained, repetition = _train(training, settings)
    facts |= repetition
    scores, facts["parameters"] = _with_last_epoch(training, settings, trained)
    if plan:
        note_look(plan, scores)
    _publish(training, settings, trained, scores, facts | {"seconds": round(time.monotonic() - begun, 1)}, folder)


def _train(training: QueuedTraining, settings: Settings) -> tuple[Trained, dict[str, Any]]:
    """Train, if need be twice; return also what the record says of a repetition."""
    try:
        return pipeline.train(settings, training.network, training.seed), {}
    except NonFiniteError as error:
        because = str(error)  # alone: the traceback keeps model, optimizer and graphs of the first one in memory
    seed = (training.seed + _ANOTHER_SEED) % SEEDS
    log.warning("%s: %s; it is repeated once with seed %d", training.name, because, seed)
    return pipeline.train(settings, training.network, seed), {"repeated": {"because": because, "with_seed": seed}}


def _with_last_epoch(training: QueuedTraining, settings: Settings, trained: Trained) -> tuple[pd.DataFrame, int]:
    """Return the scores with the DSC of the last epoch's weights beside that of the chosen ones, and the parameters."""
    data = pipeline.network_data(settings, training.network)
    last = load_model(settings, training.network, trained.segmentation, data, last_epoch=True)
    cases = trained.cases.merge(native_dsc(last, data.prepared, data), on=["case_id", "class"], validate="many_to_one")
    return cases.assign(**training.labels, seed=training.seed)[[*training.labels, *_COLUMNS]], parameter_count(last)


def _publish(
    training: QueuedTraining,
    settings: Settings,
    trained: Trained,
    scores: pd.DataFrame,
    facts: Mapping[str, Any],
    folder: Path,
) -> None:
    """Write record, history and scores; of `facts`, the seconds are those since a resumed training was resumed."""
    for kind in ("scores", "histories", "records"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    stage = trained.segmentation
    record = {
        **facts,
        "model": training.labels["model"],
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
