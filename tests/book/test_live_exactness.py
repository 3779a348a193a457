"""How far stored networks are from trained ones, counted again in NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from book.live.exactness import compare_maps, compare_network, compare_precision, shown_dsc
from book.live.slices import shown_rows
from book.live.trained import Finished
from dainet.attention.maps import network_maps, token_maps
from dainet.data.prepared import Prepared
from dainet.segmentation.catalog import build
from dainet.segmentation.slices import SliceData
from dainet.settings import Settings
from dainet.vit.model import load_vit, to_vit_input


def network(heads: int, seed: int) -> nn.Module:
    """A network of random weights that finds all classes: without biases, and with batch norm that fits its input."""
    torch.manual_seed(seed)
    made = build("dual-1111", heads=heads, classes=4, width=2)
    for name, value in made.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(value)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics of what it has seen
    with torch.no_grad():
        made(torch.rand(4, 1, 32, 32), torch.rand(4, heads, 32, 32))
    return made.eval()


@torch.inference_mode()
def labels(made: nn.Module, data: SliceData, rows: np.ndarray, maps: Tensor) -> np.ndarray:
    """Labels [n, S, S] of a network with these maps on the token grid."""
    images = torch.from_numpy(np.array(data.prepared.images[rows]))[:, None].float()
    given = network_maps(maps.float(), images.shape[-1], data.settings, data.vit_size_px)
    return made(images, given).argmax(dim=1).numpy()


def dice(found: np.ndarray, true: np.ndarray) -> list[float]:
    """DSC of the classes 1 to 3 in percent; NaN where both lack one."""
    both = [(found == number, true == number) for number in (1, 2, 3)]
    return [200 * (a & b).sum() / (a.sum() + b.sum()) if a.any() or b.any() else np.nan for a, b in both]


def compared(before: np.ndarray, after: np.ndarray, data: SliceData) -> dict[str, Any]:
    """What `book.live.exactness` says about labels of all test slices."""
    volumes, change, start = data.prepared.volumes("test"), [], 0
    for rows in volumes.values():
        part, true = slice(start, start + len(rows)), data.prepared.labels[rows]
        change.append(np.subtract(dice(before[part], true), dice(after[part], true)))
        start += len(rows)
    return {
        "pixels": before.size,
        "pixels_changed": int((before != after).sum()),
        "dsc_change": pytest.approx(np.abs(np.nanmean(change, axis=0)).max(), abs=0.001),
    }


@pytest.fixture
def rows(data: SliceData) -> np.ndarray:
    return np.concatenate(list(data.prepared.volumes("test").values()))


def test_changed_pixels_and_dsc_are_those_of_the_test_slices(data: SliceData, rows: np.ndarray) -> None:
    one, two, maps = network(3, 0), network(3, 1), data.maps[torch.as_tensor(rows)]
    found = compare_network(one, two.state_dict(), data)
    assert found == compared(labels(one, data, rows, maps), labels(two, data, rows, maps), data)
    assert found["pixels_changed"] > 0.1 * found["pixels"]
    assert found["dsc_change"] > 1
    assert compare_network(one, one.state_dict(), data) == found | {"pixels_changed": 0, "dsc_change": 0.0}


def test_precision_is_compared_with_float32(data: SliceData, rows: np.ndarray) -> None:
    made, maps = network(3, 0), data.maps[torch.as_tensor(rows)]
    data.device = replace(data.device, autocast_dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        before = labels(made, data, rows, maps)
    found = compare_precision(made, data)
    assert found == compared(before, labels(made, data, rows, maps), data)
    assert 0 < found["pixels_changed"] < 0.1 * found["pixels"]


@torch.inference_mode()
def live_maps(prepared: Prepared, rows: np.ndarray) -> Tensor:
    images = torch.from_numpy(np.array(prepared.images[rows]))[:, None]
    return token_maps(load_vit("tour"), to_vit_input(images, images.shape[-1]))


@pytest.fixture
def finished(tiny: Settings, prepared: Prepared, data: SliceData) -> Finished:
    """Trainings whose maps in the cache are the square roots of those that the ViT makes."""
    data.maps = live_maps(prepared, np.arange(len(prepared.images))).sqrt().half()
    own = tiny.vit.model_copy(update={"image_size": prepared.images.shape[-1]})
    return Finished(tiny.model_copy(update={"vit": own}), data, prepared, load_vit("tour"), {}, ())


def test_maps_differ_in_percent_of_the_largest_value_of_each(finished: Finished, rows: np.ndarray) -> None:
    made, data = network(6, 0), finished.data
    live, cached = live_maps(data.prepared, rows), data.maps[torch.as_tensor(rows)].float()
    percent = 100 * np.abs(live.numpy() - cached.numpy()) / cached.numpy().max(axis=(2, 3), keepdims=True)
    found = compare_maps(finished, finished.vit, made)
    assert found.pop("maps_largest") == pytest.approx(percent.max(), abs=0.001)
    assert found.pop("maps_mean") == pytest.approx(percent.mean(), abs=0.001)
    assert found == compared(labels(made, data, rows, cached), labels(made, data, rows, live), data)
    assert found["pixels_changed"] > 0


def test_dsc_of_the_shown_slices_is_that_of_each_slice_and_class(finished: Finished) -> None:
    made, data = network(6, 0), finished.data
    shown = shown_rows(data.prepared)
    found = shown_dsc(finished, finished.vit, made)
    maps = {"cached maps": data.maps[torch.as_tensor(shown)], "live maps": live_maps(data.prepared, shown)}
    assert set(found) == set(maps)
    for name, given in maps.items():
        both = zip(labels(made, data, shown, given), data.prepared.labels[shown], strict=True)
        np.testing.assert_allclose(np.array(found[name], float), [dice(*pair) for pair in both], atol=0.005)
    assert found["cached maps"] != found["live maps"]


def test_a_class_that_neither_has_has_no_dsc(finished: Finished) -> None:
    made, data = network(6, 0), finished.data
    data.labels = torch.zeros_like(data.labels)
    values = made.state_dict()
    values["head.weight"][1:] = 0  # logits of 0 for classes 1 to 3,
    values["head.bias"][0] = 1e3  # and the background above them
    found = shown_dsc(finished, finished.vit, made)
    assert found == {name: [[None] * 3] * len(found[name]) for name in ("cached maps", "live maps")}
