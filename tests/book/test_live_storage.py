"""The ONNX files of the live page: graphs, small weights, and a runtime's numbers against PyTorch's."""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from book.live.exactness import with_weights
from book.live.networks import ViTGraph, network_graph, trimmed
from book.live.storage import onnx_graph, read_weights, stored, zipped
from dainet.attention.maps import network_maps, token_maps
from dainet.errors import InputError
from dainet.segmentation.catalog import build
from dainet.segmentation.cuts import CutNetwork
from dainet.settings import AttentionSettings
from dainet.vit.model import load_vit, to_vit_input


def model_of(values: np.ndarray) -> onnx.ModelProto:
    """A model that adds one weight to its input."""
    shape = list(values.shape)
    image, result = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "result"))
    node = helper.make_node("Add", ["image", "network.w"], ["result"])
    graph = helper.make_graph([node], "sum", [image], [result], [numpy_helper.from_array(values, "network.w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def run(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.asarray(next(iter(ReferenceEvaluator(model).run(None, dict(inputs)))))


def types_of(model: onnx.ModelProto) -> list[int]:
    return [tensor.data_type for tensor in model.graph.initializer]


@pytest.mark.parametrize(
    ("shape", "int8_from", "kinds"),
    [
        ((7, 9), 0, [TensorProto.FLOAT]),  # 63 values: not worth a node
        ((8, 8), 0, [TensorProto.INT8, TensorProto.FLOAT]),
        ((8, 8), 64, [TensorProto.INT8, TensorProto.FLOAT]),
        ((8, 8), 65, [TensorProto.FLOAT16]),
        ((8, 8), math.inf, [TensorProto.FLOAT16]),
        ((64,), 0, [TensorProto.FLOAT16]),  # a vector has no rows
    ],
)
def test_size_and_shape_decide_how_a_weight_is_stored(
    shape: tuple[int, ...], int8_from: float, kinds: list[int]
) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert types_of(stored(model_of(values), int8_from)) == kinds


def test_a_runtime_gets_the_weight_that_is_read_back() -> None:
    values = np.random.default_rng(0).normal(size=(16, 3, 3, 3)).astype(np.float32)
    values[3] = 0  # a row without a largest value
    values[4] *= 1e-6  # a row of its own scale
    small = stored(model_of(values), int8_from=0)
    result = run(small, {"image": np.zeros_like(values)})
    np.testing.assert_array_equal(result, read_weights(small, "network.")["w"])
    largest = np.abs(values).max(axis=(1, 2, 3), keepdims=True)
    assert (np.abs(result - values) <= largest / 254 * 1.0001).all()  # half a step of 127 on each side of 0
    np.testing.assert_allclose(np.abs(result).max(axis=(1, 2, 3), keepdims=True), largest, rtol=1e-6)


def test_the_model_itself_stays() -> None:
    model = model_of(np.ones((16, 16), np.float32))
    before = model.SerializeToString(deterministic=True)
    stored(model, 0)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("value", [1e6, np.inf, np.nan])
def test_a_weight_that_float16_cannot_hold_is_refused(value: float) -> None:
    values = np.full((8, 8), value, np.float32)
    with pytest.raises(InputError, match=r"network\.w"):
        stored(model_of(values), math.inf)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_weight_that_is_not_finite_is_refused_as_int8_too(value: float) -> None:
    values = np.ones((8, 8), np.float32)
    values[2, 2] = value
    with pytest.raises(InputError, match=r"network\.w"):
        stored(model_of(values), 0)


def randomized(name: str) -> torch.nn.Module:
    """A network of random weights, also in its batch norm."""
    torch.manual_seed(0)
    network = build(name, heads=6, classes=4, width=2)
    for key, value in network.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point() and value.ndim == 1:
            value.normal_()
    return network.eval()


HEADS = (True, False, True, True, False, True)


@pytest.mark.parametrize("name", ["unet", "single", "dual-0000", "dual-0010", "dual-1111"])
@pytest.mark.parametrize("skips", [(True,) * 4, (False, True, True, True), (True, True, False, False), (False,) * 4])
def test_switches_are_those_of_a_cut_network(name: str, skips: tuple[bool, ...]) -> None:
    network = randomized(name)
    image, maps = torch.rand(1, 1, 32, 32), torch.rand(1, 6, 32, 32)
    cut = CutNetwork(network).eval()
    cut.heads_on, cut.skips_on = HEADS[: cut.heads], skips
    graph = network_graph(network)
    inputs = {"image": image, "maps": maps, "heads": torch.tensor(HEADS).float(), "skips": torch.tensor(skips).float()}
    with torch.inference_mode():
        torch.testing.assert_close(graph(*(inputs[item] for item in graph.takes)), cut(image, maps))


def test_other_networks_are_refused() -> None:
    with pytest.raises(InputError):
        network_graph(torch.nn.Conv2d(1, 4, 1))


def test_a_trimmed_vit_makes_the_same_maps_from_fewer_numbers() -> None:
    vit, image = load_vit("tour"), torch.rand(2, 1, 96, 96)
    small, before = trimmed(vit, 96), {name: value.clone() for name, value in vit.state_dict().items()}
    with torch.inference_mode():
        expected = token_maps(vit, to_vit_input(image, 96))
        torch.testing.assert_close(token_maps(small, to_vit_input(image, 96)), expected, rtol=1e-5, atol=1e-7)
        settings = AttentionSettings()
        tokens, maps = ViTGraph(vit, settings, 96, 64)(image)
        torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(maps, network_maps(tokens, 64, settings, 96))
    width = vit.embed_dim
    assert sum(map(torch.numel, vit.parameters())) - sum(map(torch.numel, small.parameters())) > 8 * width * width
    assert all(torch.equal(value, before[name]) for name, value in vit.state_dict().items())


@pytest.mark.slow
def test_a_converted_network_computes_what_pytorch_does_with_every_input() -> None:
    network = randomized("dual-1111")
    inputs = {"image": torch.rand(1, 1, 16, 16), "maps": torch.rand(1, 6, 16, 16)}
    inputs |= {"heads": torch.ones(6), "skips": torch.ones(4)}
    model = onnx_graph(network_graph(network), inputs, ["logits"])
    small = stored(model, int8_from=1000)
    assert {TensorProto.INT8, TensorProto.FLOAT16} < set(types_of(small))
    onnx.checker.check_model(small, full_check=True)
    assert zipped(small) == zipped(stored(model, int8_from=1000))
    text = gzip.decompress(zipped(small))
    assert not any(trace in text for trace in (b".py", b"site-packages", __file__.split("/tests/")[0].encode()))
    rebuilt = with_weights(network, read_weights(small, "network."))
    graph = network_graph(rebuilt).eval()
    for heads, skips in [((1,) * 6, (1,) * 4), ((0, 1, 1, 0, 1, 1), (0, 1, 0, 1)), ((0,) * 6, (1, 0, 0, 0))]:
        inputs |= {"heads": torch.tensor(heads).float(), "skips": torch.tensor(skips).float()}
        found = run(small, {name: value.numpy() for name, value in inputs.items()})
        with torch.inference_mode():
            np.testing.assert_allclose(found, graph(*inputs.values()), rtol=1e-4, atol=1e-4)
