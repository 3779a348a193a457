"""Small ONNX files without traces of a machine: large weights as int8 with a scale per row, others as float16.

Behind each stored weight stand the nodes that make it float32 again, under the name that it has in the network. A
runtime folds them when it opens the file.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from dainet.errors import InputError

__all__ = ["INT8_FROM", "onnx_graph", "read_weights", "stored", "zipped"]

INT8_FROM = 10_000  # values; smaller tensors, such as those of the first layers, decide more and cost little
_HALF_FROM = 64  # values; below, a Cast costs more than it saves
_LEVELS = 127  # of int8, on both sides of 0


def onnx_graph(graph: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> ModelProto:
    """Convert a module to ONNX with float32 weights under the names of its state dict.

    Args:
        graph: the module; it is put into evaluation mode.
        inputs: name of each input -> an example of its shape, in the order of `forward`.
        outputs: names of the outputs.
    """
    # Not optimized: that folds batch norm into convolutions, and weights would no longer be those of the network.
    program = torch.onnx.export(
        graph.eval(),
        tuple(inputs.values()),
        dynamo=True,
        optimize=False,
        verbose=False,
        input_names=list(inputs),
        output_names=list(outputs),
    )
    assert program is not None  # dynamo returns a program
    model = program.model_proto
    used = {name for node in model.graph.node for name in node.input}
    _keep(model.graph.initializer, [tensor for tensor in model.graph.initializer if tensor.name in used])
    _forget_machine(model)
    return model


def _forget_machine(model: ModelProto) -> None:
    """Clear what the exporter notes next to the numbers: stack traces with paths, types of results, its own build."""
    graph, model.producer_version = model.graph, ""
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


def stored(model: ModelProto, int8_from: float = INT8_FROM) -> ModelProto:
    """Return a copy of a model with smaller weights.

    Args:
        model: with float32 weights.
        int8_from: tensors of at least so many values become int8; infinity leaves all as float16.

    Raises:
        InputError: a weight is too large for float16, or not finite.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    tensors, nodes = list[TensorProto](), list[NodeProto]()
    for tensor in model.graph.initializer:
        new_tensors, new_nodes = _small(tensor, int8_from)
        tensors += new_tensors
        nodes += new_nodes
    _keep(copy.graph.initializer, tensors)
    _keep(copy.graph.node, [*nodes, *model.graph.node])
    return copy


def _small(tensor: TensorProto, int8_from: float) -> tuple[list[TensorProto], list[NodeProto]]:
    """Return what is stored in the place of a weight, and the nodes that make the weight of it again."""
    name, values = tensor.name, numpy_helper.to_array(tensor)
    if values.dtype != np.float32 or values.size < _HALF_FROM:
        return [tensor], []
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise InputError(f"{name}: non-finite numbers (NaN or infinity) as float16; train the network again")
    if values.ndim < 2 or values.size < int8_from:
        return [numpy_helper.from_array(half, f"{name}.float16")], [_cast(f"{name}.float16", name)]
    levels, scale = _int8(values)
    parts = [numpy_helper.from_array(levels, f"{name}.int8"), numpy_helper.from_array(scale, f"{name}.scale")]
    return parts, [
        _cast(f"{name}.int8", f"{name}.levels"),
        helper.make_node("Mul", [f"{name}.levels", f"{name}.scale"], [name], name=f"{name}.mul"),
    ]


def _int8(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round rows [n, ...] to int8 and a float32 scale [n, 1, ...] each, with values of about levels * scale."""
    largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    scale = np.where(largest > 0, largest, 1).astype(np.float32) / np.float32(_LEVELS)
    return np.rint(values / scale).astype(np.int8), scale


def _cast(name: str, to: str) -> NodeProto:
    return helper.make_node("Cast", [name], [to], name=f"{to}.cast", to=TensorProto.FLOAT)


def read_weights(model: ModelProto, prefix: str) -> dict[str, Tensor]:
    """Return the weights of a stored model as float32, by their names in the network behind `prefix`."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = {}
    for name, values in arrays.items():
        if name.startswith(prefix) and not name.endswith(".scale"):
            plain = name.removesuffix(".int8").removesuffix(".float16")
            scale = arrays.get(f"{plain}.scale", np.float32(1))
            weights[plain.removeprefix(prefix)] = torch.from_numpy(values.astype(np.float32) * scale)
    return weights


def zipped(model: ModelProto) -> bytes:
    """Return a model as the bytes of its .onnx.gz; equal models give equal bytes."""
    return gzip.compress(model.SerializeToString(deterministic=True), 9, mtime=0)


def _keep(field: Any, items: Sequence[Any]) -> None:
    """Set a repeated field of a protocol buffer."""
    items = list(items)
    del field[:]
    field.extend(items)
