"""The work in a stage: images that went through a network, floating-point operations, and how fast they could be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from dainet.attention.features import token_features
from dainet.attention.maps import token_maps
from dainet.cache.folders import runs_folder
from dainet.csv_files import read_csv
from dainet.dino.network import DinoHead, DinoNetwork
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import count_flops
from dainet.segmentation.outside import is_outside
from dainet.segmentation.slices import run_network
from dainet.settings import Settings
from dainet.vit.model import DinoViT, input_size, load_vit

__all__ = ["Work", "large_product", "product_rate", "work_of"]

Record = Mapping[str, Any]
_MEASURED_S = 0.3


@dataclass(frozen=True)
class Work:
    """Images that went through the network of a stage, and the floating-point operations of all of them together."""

    images: int
    operations: int


@torch.no_grad()
def work_of(key: str, records: Mapping[str, Record], settings: Settings) -> Work | None:
    """Count the work of a finished stage; None where no network computes, or one from outside the kit.

    A training counts every slice of every epoch, three times the operations of its forward pass, and not the slices on
    which it is monitored. DINO counts views as images: all go forward and backward through the student, the global ones
    also forward through the teacher. Extraction counts all slices, scores those of test patients.

    Args:
        key: of the stage.
        records: key -> record of the stage and of everything it was made from (see `dainet.cache.runs.lineage`).
        settings: of the run; names the weights of the ViT, whose shape is needed.
    """
    record = records[key]
    values, stage = record["settings"], record["stage"]
    trained = records[record["inputs"]["segmentation"]] if stage == "scores" else record
    if is_outside(str(trained["settings"].get("model", ""))):
        return None  # the record names the code, but not where it lies
    if stage == "segmentation":
        epochs = _json(key, records, "selection.json")["epochs_run"]
        images = epochs * _slices(record, records, "train")
        return Work(images, 3 * images * _network_flops(record, records))
    if stage == "scores":
        images = _slices(record, records, "test")
        return Work(images, images * _network_flops(trained, records))
    if stage == "dino" and values["epochs"]:
        return _dino_work(record, records, _vit(settings.vit.weights, settings.vit.heads))
    if stage == "attention" and not {"control", "origin"} & values.keys():  # no ViT has made the others
        vit, size = _vit(settings.vit.weights, settings.vit.heads), values["vit_size_px"]
        tokens_of = token_features if values.get("what") == "features" else token_maps
        images = _slices(record, records)
        return Work(images, images * count_flops(lambda: tokens_of(vit, torch.zeros(1, 3, size, size))))
    return None


def large_product(device: torch.device, dtype: torch.dtype) -> tuple[Callable[[], Tensor], int]:
    """Return one large matrix product on a device, and its floating-point operations."""
    side = 2048 if device.type == "cpu" else 8192
    a, b = torch.randn(2, side, side, device=device, dtype=dtype)
    return lambda: a @ b, 2 * side**3


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measure the floating-point operations per second of large matrix products at their best, in under a second."""
    product, operations = large_product(device, dtype)
    _seconds(product)  # warms up
    times, end = [_seconds(product)], perf_counter() + _MEASURED_S
    while perf_counter() < end:
        times.append(_seconds(product))
    return operations / min(times)


def _seconds(product: Callable[[], Tensor]) -> float:
    start = perf_counter()
    product()[0, 0].item()  # waits for a GPU
    return perf_counter() - start


def _dino_work(record: Record, records: Mapping[str, Record], vit: DinoViT) -> Work:
    values = record["settings"]
    network = DinoNetwork(vit, DinoHead(vit.embed_dim, values["out_dim"]))
    large, small = (input_size(vit, values[name]) for name in ("global_size", "local_size"))
    shared = [torch.zeros(1, 3, large, large)] * 2
    views = shared + [torch.zeros(1, 3, small, small)] * values["local_crops"]
    images = values["epochs"] * (_slices(record, records, "train") // values["batch_size"] * values["batch_size"])
    student, teacher = count_flops(lambda: network(views)), count_flops(lambda: network(shared))
    return Work(images * len(views), images * (3 * student + teacher))


def _network_flops(record: Record, records: Mapping[str, Record]) -> int:
    """Count the operations of a segmentation network's forward pass of one slice."""
    values, inputs = record["settings"], record["inputs"]
    heads, size = values.get("maps", {}).get("image_channels", 0), values["image_size"]
    maps = (heads, size, size)
    if "attention" in inputs:
        stored = _json(inputs["attention"], records, "attention.json")
        reduced = values["maps"].get("reduced_features", 0)
        heads = reduced or stored["heads"]
        maps = (stored["heads"], *stored["grid"]) if reduced else (heads, size, size)
    classes = len(_json(inputs["prepared"], records, "about.json")["classes"]["names"]) + 1
    return _forward_flops(values["model"], heads, classes, values["width"], size, maps)


@cache
def _forward_flops(name: str, heads: int, classes: int, width: int, size: int, maps: tuple[int, int, int]) -> int:
    with torch.device("meta"):  # shapes without numbers: a wide network takes long
        network = build(
            name, heads=heads, classes=classes, width=width, image_size=size, feature_channels=maps[0]
        ).eval()
        image, second = torch.empty(1, 1, size, size), torch.empty(1, *maps) if heads else None
    return count_flops(lambda: run_network(network, image, second))


@cache
def _vit(weights: str, heads: int | None) -> DinoViT:
    """Load a ViT for its shape."""
    return load_vit(weights, heads=heads)


def _slices(record: Record, records: Mapping[str, Record], split: str = "") -> int:
    """Count the slices of a split, or of all, in the prepared store from which a stage was made."""
    cases = read_csv(_folder(record["inputs"]["prepared"], records) / "cases.csv")
    return int((cases["split"] == split).sum()) if split else len(cases)


def _json(key: str, records: Mapping[str, Record], name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_folder(key, records) / name).read_text(encoding="utf-8"))
    return content


def _folder(key: str, records: Mapping[str, Record]) -> Path:
    return runs_folder() / str(records[key]["stage"]) / key
