"""One file of the live page: a trained network, or the ViT, with what page and record say about it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from onnx import ModelProto
from torch import Tensor

from book.live.exactness import compare_maps, compare_network, compare_precision, shown_dsc, with_weights
from book.live.networks import ViTGraph, network_graph
from book.live.storage import INT8_FROM, onnx_graph, read_weights, stored, zipped
from book.live.trained import Finished
from dainet.inference.facts import scores
from dainet.pipeline import Trained
from dainet.segmentation.networks import parameter_count

__all__ = ["Model", "network_model", "vit_model"]

# How weights can be stored: from how many values on a tensor becomes int8. The first way is shipped.
_WAYS = {"large int8": INT8_FROM, "float16": math.inf, "int8": 0}


@dataclass(frozen=True)
class Model:
    """A network's name, the bytes of its file, and its lines in `slices.json` and `record.json`."""

    name: str
    content: bytes
    page: dict[str, Any]
    record: dict[str, Any]


def network_model(finished: Finished, trained: Trained) -> Model:
    """Convert a trained network of the paper."""
    graph, names = network_graph(trained.model), finished.data.classes.names
    size, heads = finished.settings.segmentation.image_size, finished.data.heads
    inputs = {"image": torch.zeros(1, 1, size, size), "maps": torch.zeros(1, heads, size, size)}
    inputs |= {"heads": torch.ones(heads), "skips": torch.ones(4)}
    model = onnx_graph(graph, {name: inputs[name] for name in graph.takes}, ["logits"])

    def compare(weights: Mapping[str, Tensor]) -> dict[str, Any]:
        return compare_network(trained.model, weights, finished.data)

    page = {"dsc": scores(trained.cases, trained.name, names)[-1].dsc, "parameters": parameter_count(trained.model)}
    stages = {"segmentation": trained.segmentation.key, "scores": trained.scored.key}
    made = _model(trained.name, model, page, stages, "network.", compare)
    made.record["precision"] = compare_precision(trained.model, finished.data)
    return made


def vit_model(finished: Finished) -> Model:
    """Convert the ViT that makes the maps, without what they do not need; the last network judges its maps."""
    settings, judge = finished.settings, finished.networks[-1].model
    side = settings.vit.image_size
    graph = ViTGraph(finished.vit, settings.attention, side, settings.segmentation.image_size)
    model = onnx_graph(graph, {"image": torch.zeros(1, 1, side, side)}, ["tokens", "maps"])

    def compare(weights: Mapping[str, Tensor]) -> dict[str, Any]:
        return compare_maps(finished, with_weights(graph.vit, weights), judge)

    made = _model("vit", model, {"parameters": parameter_count(graph.vit)}, finished.vit_stages, "vit.", compare)
    shipped = with_weights(graph.vit, read_weights(stored(model), "vit."))
    made.record["shown_dsc"] = shown_dsc(finished, shipped, judge)
    return made


def _model(
    name: str,
    model: ModelProto,
    page: dict[str, Any],
    stages: Mapping[str, str],
    prefix: str,
    compare: Callable[[Mapping[str, Tensor]], dict[str, Any]],
) -> Model:
    """Store a model; `compare` says how far a network with stored weights is from the trained one."""
    small = {way: stored(model, int8_from) for way, int8_from in _WAYS.items()}
    files = {way: zipped(item) for way, item in small.items()}
    ways = {way: {"bytes": len(files[way]), **compare(read_weights(item, prefix))} for way, item in small.items()}
    content = next(iter(files.values()))
    record = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "stages": dict(stages)}
    return Model(name, content, page | {"bytes": len(content)}, record | {"ways": ways})
