"""Training one network as a stage of the cache: its key, its seed and its processes."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from dainet.cache.store import StageResult, run_stage
from dainet.cuda_graphs import worth_compiling
from dainet.device import enough_memory
from dainet.errors import InputError
from dainet.parallel.launch import run_task
from dainet.segmentation.catalog import build
from dainet.segmentation.outside import check_unchanged, is_outside, outside_label, source_hash
from dainet.segmentation.pretrained import load_pretrained, pretrained_hash
from dainet.segmentation.slices import SliceData
from dainet.segmentation.training import train
from dainet.settings import SEEDS, SegmentationSettings, Settings

__all__ = ["build_network", "fit", "load_model", "run_segmentation"]

log = logging.getLogger(__name__)
_VERSION = 3
_COMPILED_FROM = 8000  # steps: half a minute of compiling against 4 to 6 ms that each step is shorter (docs/gpu.md)


def run_segmentation(
    settings: Settings,
    name: str,
    seed: int,
    data: SliceData,
) -> StageResult:
    """Train one network with one seed, or return the finished one.

    The stage leaves `model.safetensors`, `history.csv` (one row per epoch), `selection.json` and, unless the rule chose
    the last epoch anyway, its weights as `last.safetensors`.

    Args:
        settings: the run's settings.
        name: see `dainet.segmentation.catalog.build`.
        seed: seed of weights, order and augmentation.
        data: slices and splits, with what the network takes (see `dainet.segmentation.catalog.takes`).

    Raises:
        InputError: the seed is not a whole number, negative, or 2^32 or more.
    """
    if not (isinstance(seed, int) and 0 <= seed < SEEDS):
        raise InputError(f"seed {seed!r}; expected a whole number from 0 to {SEEDS - 1}")
    segmentation = _decided(settings, name, data)
    values = segmentation.model_dump(mode="json", exclude=_without_effect(segmentation, name))
    values |= {"model": outside_label(name), "seed": seed, "precision": data.device.precision}
    if is_outside(name):
        values["source"] = source_hash(name)
    if segmentation.loss:
        values |= {"loss": outside_label(segmentation.loss), "loss_source": source_hash(segmentation.loss)}
    if segmentation.pretrained:
        values["pretrained"] = pretrained_hash(segmentation.pretrained)
    if settings.n_processes > 1:
        values |= {"n_processes": settings.n_processes, "sync_batch_norm": segmentation.sync_batch_norm}
    inputs = {"prepared": data.prepared.result.key}
    if data.attention is not None:
        inputs["attention"] = data.attention.key
    if data.reduced_features:
        values["maps"] = {"reduced_features": data.reduced_features}
    elif data.attention is not None:
        used = {"normalization"} if settings.attention.maps else {"resize", "normalization"}
        values["maps"] = settings.attention.model_dump(include=used)
    elif data.image_channels:
        values["maps"] = {"image_channels": data.image_channels}

    def build(folder: Path) -> None:
        if is_outside(name):
            check_unchanged(name, str(values["source"]))
        if segmentation.loss:
            check_unchanged(segmentation.loss, str(values["loss_source"]))
        run_task(
            "segmentation", settings, folder, lambda: fit(settings, name, seed, data, folder), name=name, seed=seed
        )

    return run_stage("segmentation", _VERSION, values, inputs, build, resumes=True)


def _without_effect(settings: SegmentationSettings, name: str) -> set[str]:
    """Return the settings that change nothing in one training of this network with one process."""
    idle = {"loss", "pretrained", "seeds", "sync_batch_norm"}  # code and weights enter by their hash
    if settings.loss:
        idle.add("dice")
    if settings.selection == "last":
        idle.add("patience")
    if not name.startswith("dual-"):
        idle.add("switch_order")
    return idle


def _decided(settings: Settings, name: str, data: SliceData) -> SegmentationSettings:
    """Return the settings with `compile` decided; code from outside is not compiled unasked."""
    asked, rows = settings.segmentation, data.prepared.rows("train")
    steps = 0 if is_outside(name) or asked.loss else asked.epochs * -(-len(rows) // asked.batch_size)
    worth = worth_compiling(asked.compile, data.device, settings.n_processes, steps, _COMPILED_FROM)
    return asked.model_copy(update={"compile": worth})


def fit(settings: Settings, name: str, seed: int, data: SliceData, folder: Path) -> None:
    """Train one network from its seed (see `run_segmentation`); where several processes do, each of them calls this."""
    label = outside_label(name)
    log.info("%s, seed %d", label, seed)
    segmentation = _decided(settings, name, data)
    what = (
        f"{label} of width {segmentation.width}, batches of {segmentation.batch_size} at {segmentation.image_size} px"
    )
    out_of_memory = "lower segmentation.batch_size, or choose another device"
    with enough_memory(what, out_of_memory), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _network(settings, name, data)
        if segmentation.pretrained:
            load_pretrained(model, label, segmentation.pretrained)
        train(model, segmentation, seed, data.prepared, data, folder)


def load_model(
    settings: Settings, name: str, result: StageResult, data: SliceData, last_epoch: bool = False
) -> nn.Module:
    """Build a trained network on the device, in evaluation mode, with the weights that the checkpoint rule chose.

    With `last_epoch`, the weights are those of the last epoch.

    Raises:
        InputError: the code of a network from outside has changed since its training began.
    """
    if is_outside(name):
        check_unchanged(name, result.record()["settings"]["source"])
    model, last = _network(settings, name, data), "last.safetensors"
    chosen = last if last_epoch and (result.path / last).is_file() else "model.safetensors"
    result.read(chosen, lambda path: model.load_state_dict(load_file(path), strict=True))
    return model.eval()


def _network(settings: Settings, name: str, data: SliceData) -> nn.Module:
    network = build_network(settings.segmentation, name, data.heads, len(data.classes.names), data.feature_channels)
    device = data.device
    return network.to(device.torch_device, memory_format=device.memory_format)  # type: ignore[call-overload]


def build_network(
    settings: SegmentationSettings, name: str, heads: int, foreground: int, feature_channels: int
) -> nn.Module:
    """Build a network by name as the settings describe it, for so many foreground classes.

    `heads` and `feature_channels` are 0 for a network that takes none (see `dainet.segmentation.catalog.build`).
    """
    return build(
        name,
        heads=heads,
        classes=foreground + 1,
        width=settings.width,
        switch_order=settings.switch_order,
        image_size=settings.image_size,
        feature_channels=feature_channels,
    )
