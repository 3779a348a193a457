"""What the trainings of a plan cost: a few steps of each network are measured on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import pandas as pd
import torch
from torch import nn

from dainet import pipeline
from dainet.attention.stage import grid_of
from dainet.data.prepared import Prepared
from dainet.data.splits import choose_patients
from dainet.device import Device, choose_device, enough_memory
from dainet.reporting.costs import count_operations, seconds
from dainet.segmentation.catalog import takes
from dainet.segmentation.networks import parameter_count
from dainet.segmentation.outside import is_outside
from dainet.segmentation.outside_check import check_outside
from dainet.segmentation.slices import SliceData
from dainet.segmentation.stage import build_network
from dainet.segmentation.step import adam, train_epoch, training_step
from dainet.segmentation.training import MONITORED_SPLIT
from dainet.settings import DataSettings, SegmentationSettings, Settings
from dainet.vit.model import load_vit

__all__ = ["Cost", "cost_table", "fold_slices", "measure_cost", "training_seconds"]

_MEASURED, _ENOUGH_S = 5, 5.0  # at most so many steps, and no further one after so many seconds
_PREDICTED = 32  # slices, as `Slices.predict` takes them at once


@dataclass(frozen=True)
class Cost:
    """What a network takes next to the image, its size, and medians of seconds on this machine."""

    takes: str
    parameters: int
    operations: int  # floating-point operations of the forward pass of one slice
    step_s: float  # of one training step
    slice_s: float  # of the prediction of one slice


def measure_cost(settings: Settings, name: str) -> Cost:
    """Train a network for a few steps, on slices of the data with random maps, and forget it again.

    Args:
        settings: of the training; `data.split` says which slices there are.
        name: see `dainet.segmentation.catalog.build`.

    Raises:
        InputError: see `dainet.pipeline.prepare`; or the network does not fit into the device's memory.
    """
    segmentation, device = settings.segmentation, choose_device(settings.device)
    prepared = pipeline.prepare(settings)
    data = _with_random_maps(settings, name, prepared, device)
    rows = prepared.rows("train")[: segmentation.batch_size]
    out_of_memory = "lower segmentation.batch_size, or choose another device"
    with enough_memory(f"{name} of width {segmentation.width}", out_of_memory), torch.random.fork_rng(devices=[]):
        model = build_network(segmentation, name, data.heads, len(data.classes.names), data.feature_channels)
        model = model.to(device.torch_device, memory_format=device.memory_format)  # type: ignore[call-overload]
        step_s = _step_seconds(model, data, segmentation, rows)
        some = rows[:_PREDICTED]
        slice_s = _median(lambda: data.predict(model, some, _PREDICTED).sum().item()) / len(some)
        return Cost(takes(name), parameter_count(model), _operations(settings, name, model, data), step_s, slice_s)


def training_seconds(cost: Cost, settings: SegmentationSettings, slices: Mapping[str, int]) -> float:
    """Estimate the seconds of one training to its last epoch, with the predictions that choose its checkpoint.

    Args:
        cost: of the network.
        settings: of the training.
        slices: number of slices in "train", "valid" and "test".
    """
    steps = -(-slices["train"] // settings.batch_size)
    return settings.epochs * (steps * cost.step_s + slices[MONITORED_SPLIT[settings.selection]] * cost.slice_s)


def fold_slices(
    folds: Sequence[Mapping[str, str]], settings: DataSettings, slices: Mapping[str, int]
) -> list[dict[str, int]]:
    """Count the slices in "train", "valid" and "test" of each fold.

    Args:
        folds: part of each patient.
        settings: with the number of training patients.
        slices: of each patient that was read; others are taken to have as many as these have on average.

    Raises:
        DataError: see `dainet.data.splits.choose_patients`.
    """
    usual, counts = round(sum(slices.values()) / len(slices)), []
    for fold in folds:
        chosen = choose_patients(fold, set(fold), settings.train_patients)
        count = dict.fromkeys(("train", "valid", "test"), 0)
        for patient, part in chosen.items():
            count[part] += slices.get(patient, usual)
        counts.append(count)
    return counts


def cost_table(
    costs: Mapping[str, Cost],
    settings: Mapping[str, Settings],
    slices: Mapping[str, Sequence[Mapping[str, int]]],
    seeds: int,
) -> pd.DataFrame:
    """Describe what each network takes, its size, its speed here, and the hours of its trainings.

    Args:
        costs: by name in the plan.
        settings: of the trainings, by the same name.
        slices: see `fold_slices`, by the same name.
        seeds: trainings in every fold.
    """
    rows = []
    for name, cost in costs.items():
        each = [training_seconds(cost, settings[name].segmentation, fold) for fold in slices[name]]
        row = {"Network": name, "Takes": cost.takes, "Parameters (M)": f"{cost.parameters / 1e6:.3g}"}
        row |= {"GFLOP": f"{cost.operations / 1e9:.3g}", "s per step": f"{cost.step_s:.3g}"}
        row |= {"Min per training": f"{np.mean(each) / 60:.3g}", "Trainings": str(len(each) * seeds)}
        rows.append(row | {"Hours": f"{sum(each) * seeds / 3600:.3g}"})
    total = sum(float(row["Hours"]) for row in rows), sum(int(row["Trainings"]) for row in rows)
    last = {"Network": "all", "Trainings": str(total[1]), "Hours": f"{total[0]:.3g}"}
    return pd.DataFrame([*rows, last]).fillna("")


def _with_random_maps(settings: Settings, name: str, prepared: Prepared, device: Device) -> SliceData:
    """Return the slices with random numbers in the place of the ViT's maps or features, the same for all slices."""
    needed = takes(name)
    if needed == "image" or settings.attention.maps or settings.attention.control == "image":
        return pipeline.slice_data(settings, with_maps=needed == "maps")  # which takes no ViT
    vit = load_vit(settings.vit.weights, heads=settings.vit.heads)
    grid = grid_of(vit, settings.vit.image_size, "features" if needed == "features" else "maps")
    data = SliceData(prepared, None, settings.attention, device)
    one = torch.rand(1, grid.heads, *grid.grid, device=device.torch_device).half()
    data.maps = one.expand(len(data.images), -1, -1, -1)
    data.vit_size_px, data.reduced_features = grid.vit_size_px, vit.heads if needed == "features" else 0
    return data


def _step_seconds(model: nn.Module, data: SliceData, settings: SegmentationSettings, rows: np.ndarray) -> float:
    optimizer = adam(model, settings, data.device)
    step = training_step(model, data, settings, optimizer)
    model.train()
    return _median(lambda: train_epoch(step, optimizer, data, rows, settings, 0, 0))


def _operations(settings: Settings, name: str, model: nn.Module, data: SliceData) -> int:
    if is_outside(name):  # which may not run without numbers
        return check_outside(settings, name).operations
    inputs = data.inputs(torch.zeros(1, dtype=torch.long, device=data.device.torch_device))
    return count_operations(model, *(each for each in inputs if each is not None))


def _median(work: Callable[[], object]) -> float:
    work()  # warms up, and records where steps are recorded
    times = [seconds(work)]
    while len(times) < _MEASURED and sum(times) < _ENOUGH_S:
        times.append(seconds(work))
    return median(times)
