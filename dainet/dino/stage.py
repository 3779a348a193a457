"""DINO fine-tuning as a stage of the cache: its slices, its key and its processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dainet.cache.store import StageResult, run_stage
from dainet.cuda_graphs import worth_compiling
from dainet.data.prepared import Prepared
from dainet.device import Device, enough_memory
from dainet.dino.training import finetune
from dainet.errors import InputError
from dainet.parallel.launch import run_task
from dainet.settings import DinoSettings, Settings
from dainet.vit.checkpoints import weights_hash

__all__ = ["fit", "run_dino", "training_rows"]

_VERSION = 3
_COMPILED_FROM = 4000  # steps: 80 s of compiling against 25 ms that each step is shorter (docs/gpu.md)
_NEWER = ("compile", "keep_every")
# Setting -> those that have no effect where it is 0 or False.
_SWITCHED_OFF = {
    "centering": {"center_momentum"},
    "local_crops": {"local_size", "local_scale"},
    "warmup_teacher_temperature_epochs": {"warmup_teacher_temperature"},
}


def run_dino(settings: Settings, prepared_vit: Prepared, device: Device) -> StageResult:
    """Fine-tune the ViT of `settings.vit` on the training slices, or return the finished run.

    The stage leaves `student.safetensors`, `teacher.safetensors`, `head.safetensors` (the teacher's; none without
    epochs), `history.csv` and `training.json`, and with `dino.keep_every` earlier teachers (see
    `dainet.dino.training.teacher_file`). The teacher makes the maps; the paper does not say which one does
    (docs/protocol.md#5.17).

    Args:
        settings: the run's settings.
        prepared_vit: slices at `settings.vit.image_size` px and their splits.
        device: where to train.

    Raises:
        InputError: a validation or test patient is among the training slices; or as `finetune`.
    """
    dino = _decided(settings, prepared_vit, device)
    # Without effect on results where they are false or 0, and then not in the key, as before these settings existed.
    values = dino.model_dump(mode="json", exclude={name for name in _NEWER if not getattr(dino, name)})
    values["image_size"] = settings.vit.image_size
    if dino.epochs:
        values["precision"] = device.precision
    if dino.epochs and settings.n_processes > 1:
        values["n_processes"] = settings.n_processes

    def build(folder: Path) -> None:
        run_task("dino", settings, folder, lambda: fit(settings, prepared_vit, device, folder))

    inputs = {"prepared": prepared_vit.result.key, "weights": weights_hash(settings.vit.weights, settings.vit.heads)}
    return run_stage("dino", _VERSION, values, inputs, build, resumes=True)


def fit(settings: Settings, prepared_vit: Prepared, device: Device, folder: Path) -> None:
    """Fine-tune on the training slices (see `run_dino`); where several processes do, each of them calls this."""
    rows = training_rows(prepared_vit)
    dino, vit = _decided(settings, prepared_vit, device), settings.vit
    what = f"DINO, batches of {dino.batch_size} with {2 + dino.local_crops} views"
    with enough_memory(what, "lower dino.batch_size, or choose another device"):
        finetune(dino, vit.weights, prepared_vit.images, rows, device, folder, vit.heads)


def _decided(settings: Settings, prepared_vit: Prepared, device: Device) -> DinoSettings:
    """Return the settings in effect, with `compile` decided."""
    asked, rows = _in_effect(settings.dino), prepared_vit.rows("train")
    steps = asked.epochs * (len(rows) // asked.batch_size)
    worth = worth_compiling(asked.compile, device, settings.n_processes, steps, _COMPILED_FROM)
    return asked.model_copy(update={"compile": worth})


def _in_effect(settings: DinoSettings) -> DinoSettings:
    """Return the settings with those that have no effect at their defaults: they change neither key nor result."""
    if not settings.epochs:
        return DinoSettings(epochs=0)
    idle = {name for switch, names in _SWITCHED_OFF.items() if not getattr(settings, switch) for name in names}
    return DinoSettings.model_validate(settings.model_dump(exclude=idle))


def training_rows(prepared: Prepared) -> np.ndarray:
    """Return the row numbers of the training split ("on the training set of each dataset", section 4.2).

    Raises:
        InputError: a patient is in the training split and in another one too.
    """
    rows = prepared.rows("train")
    patients = prepared.cases["patient"].to_numpy()
    shared = set(patients[rows]) & set(np.delete(patients, rows))
    if shared:
        raise InputError(
            f"patients {', '.join(sorted(map(str, shared)))} are in the training split and in another one; "
            "DINO must not see validation or test patients; correct the split"
        )
    return rows
