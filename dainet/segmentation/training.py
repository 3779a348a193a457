"""The one training loop of all segmentation networks (paper sections 3.3 and 4.2)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from dainet.cache.atomic import write_complete, write_tensors
from dainet.cache.resume import epoch_seed, load_state, state_writer
from dainet.data.prepared import Prepared
from dainet.device import Device
from dainet.errors import InputError, NonFiniteError
from dainet.parallel import collectives
from dainet.progress import progress
from dainet.segmentation.evaluation import volume_dsc
from dainet.segmentation.slices import SliceData
from dainet.segmentation.step import adam, poly_factor, train_epoch, training_step
from dainet.settings import SegmentationSettings

__all__ = ["MONITORED_SPLIT", "check_sync_batch_norm", "mean_volume_dsc", "monitored_volumes", "train"]

log = logging.getLogger(__name__)

# The split that chooses the checkpoint. "peer-on-test" is what several peers do (docs/protocol.md#1.5); its scores are
# too high, and every table of them says so. "last" keeps the last epoch and only monitors validation.
MONITORED_SPLIT = {"validation": "valid", "last": "valid", "peer-on-test": "test"}


def train(
    model: nn.Module, settings: SegmentationSettings, seed: int, prepared: Prepared, data: SliceData, folder: Path
) -> None:
    """Train until the last epoch or until the monitored DSC stops rising; resume from the last state in `folder`.

    Every epoch draws its random numbers from (seed, epoch), so that a resumed training repeats an uninterrupted one.

    Raises:
        InputError: see `monitored_volumes`; or a step gets one slice, which is too small for batch norm.
        NonFiniteError: the loss is no longer finite.
    """
    volumes = monitored_volumes(settings, prepared)
    rows = prepared.rows("train")
    _check_shares(settings, len(rows), data)
    steps = -(-len(rows) // settings.batch_size)
    if settings.sync_batch_norm and collectives.process_count() > 1:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    optimizer = adam(model, settings, data.device)
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer}
    history, chosen = _resume(folder, parts)
    save = state_writer(folder)
    step = training_step(collectives.parallel(model, data.device), data, settings, optimizer)
    for epoch in progress(range(len(history), settings.epochs), "epochs", before=len(history)):
        if _stops_early(history, settings):
            break
        torch.manual_seed(collectives.own_seed(epoch_seed(seed, epoch)))  # dropout, of each process's own slices
        model.train()
        with _lone_slice_explained(settings):
            loss = train_epoch(step, optimizer, data, rows, settings, seed, epoch)
        if not np.isfinite(loss):
            raise NonFiniteError(
                f"epoch {epoch + 1}: non-finite loss ({loss}); lower segmentation.lr or check the data"
            )
        collectives.broadcast_buffers(model)
        dsc = mean_volume_dsc(model, data, volumes)
        rate = settings.lr * poly_factor((epoch + 1) * steps, settings.epochs * steps)
        history.append({"epoch": epoch + 1, "loss": loss, "lr": rate, "dsc": dsc})
        log.info("epoch %d/%d  loss %.4f  monitored DSC %.4f", epoch + 1, settings.epochs, loss, dsc)
        if _chosen(history, settings) is history[-1]:
            chosen = {name: tensor.to("cpu", copy=True) for name, tensor in model.state_dict().items()}
        if collectives.rank() == 0:
            state = {name: part.state_dict() for name, part in parts.items()}
            save(state | {"history": history, "chosen": chosen}, len(history))
    if collectives.rank() == 0:
        _finish(folder, model, chosen, settings, history)


def monitored_volumes(settings: SegmentationSettings, prepared: Prepared) -> dict[str, np.ndarray]:
    """Return the volumes on which the rule chooses a checkpoint: case id -> row numbers.

    Raises:
        InputError: the rule needs some and there are none, or their labels hold no class, so that no DSC could choose.
    """
    volumes = prepared.volumes(MONITORED_SPLIT[settings.selection])
    if settings.selection == "last" or any(prepared.labels[rows].any() for rows in volumes.values()):
        return volumes
    found = (
        f"none of the {len(volumes)} volumes for it has a labeled voxel"
        if volumes
        else "the split has no volumes for it"
    )
    raise InputError(
        f"segmentation.selection is {settings.selection!r}, but {found}; add validation patients with labels, or set "
        "segmentation.selection=last"
    )


def mean_volume_dsc(model: nn.Module, data: SliceData, volumes: Mapping[str, np.ndarray]) -> float:
    """Compute the mean DSC over volumes and foreground classes at network size; NaN without volumes.

    A class that label and prediction lack is left out. The peers monitor whole-heart DSC per slice instead
    (docs/protocol.md#2.4). Several processes share the volumes.
    """
    if not volumes:
        return float("nan")
    mine = dict(list(volumes.items())[collectives.share(len(volumes))])
    none = torch.empty(0, len(data.classes.names), device=data.labels.device)
    return collectives.gathered(volume_dsc(model, data, mine) if mine else none).nanmean().item()


def _check_shares(settings: SegmentationSettings, count: int, data: SliceData) -> None:
    processes, last = collectives.process_count(), count % settings.batch_size or settings.batch_size
    if last < processes:
        raise InputError(
            f"{count} slices leave a last batch of {last} for {processes} processes; change segmentation.batch_size"
        )
    check_sync_batch_norm(settings, processes, data.device)


def check_sync_batch_norm(settings: SegmentationSettings, processes: int, device: Device) -> None:
    """Refuse statistics of the whole batch where processes on CPUs share it, which torch does not offer.

    Raises:
        InputError: the message says what to set.
    """
    if processes > 1 and settings.sync_batch_norm and device.collectives != "nccl":
        raise InputError("segmentation.sync_batch_norm needs GPUs; set it to false or n_processes to 1")


@contextmanager
def _lone_slice_explained(settings: SegmentationSettings) -> Iterator[None]:
    """Name the settings where batch norm refuses a step: one slice, of which a network has made a single pixel."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):  # torch's words
            raise
        raise InputError(
            f"a step with one slice of {settings.image_size} px leaves batch norm a single value per channel; change "
            "segmentation.batch_size, or raise segmentation.image_size"
        ) from error


def _stops_early(history: list[dict[str, Any]], settings: SegmentationSettings) -> bool:
    if settings.selection == "last" or not history:
        return False
    return len(history) - _best(history)["epoch"] >= settings.patience


def _best(history: list[dict[str, Any]]) -> dict[str, Any]:
    return max(history, key=lambda line: (-np.inf if np.isnan(line["dsc"]) else line["dsc"], -line["epoch"]))


def _chosen(history: list[dict[str, Any]], settings: SegmentationSettings) -> dict[str, Any]:
    """Return the line of the epoch whose weights the rule chooses, were this the end."""
    return history[-1] if settings.selection == "last" else _best(history)


def _resume(folder: Path, parts: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """Load the last state into the parts; return its history and chosen weights, both empty before the first epoch."""
    state = load_state(folder)
    if state is None:
        return [], {}
    own = {name: parts["optimizer"].param_groups[0][name] for name in ("lr", "capturable", "fused")}
    for name, part in parts.items():
        part.load_state_dict(state[name])
    parts["optimizer"].param_groups[0].update(own)  # the state may come from a device of another kind
    log.info("resuming after epoch %d", len(state["history"]))
    return state["history"], state["chosen"]


def _finish(
    folder: Path,
    model: nn.Module,
    chosen: Mapping[str, Tensor],
    settings: SegmentationSettings,
    history: list[dict[str, Any]],
) -> None:
    write_tensors(chosen, folder / "model.safetensors")
    if settings.selection != "last":
        write_tensors(model.state_dict(), folder / "last.safetensors")
    line = _chosen(history, settings)
    record = {
        "rule": settings.selection,
        "split": MONITORED_SPLIT[settings.selection],
        "epoch": line["epoch"],
        "dsc": None if np.isnan(line["dsc"]) else line["dsc"],  # without validation volumes; JSON has no NaN
        "epochs_run": len(history),
    }
    write_complete(folder / "selection.json", json.dumps(record, indent=1))
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False)
