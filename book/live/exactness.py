"""How far stored networks are from trained ones: labels that change on the test slices, and what DSC loses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from book.live.slices import shown_rows
from book.live.trained import Finished
from dainet.attention.maps import token_maps
from dainet.segmentation.evaluation import class_dsc, dsc_of_volumes
from dainet.segmentation.slices import SliceData, Slices
from dainet.vit.model import DinoViT, to_vit_input

__all__ = ["compare_maps", "compare_network", "compare_precision", "shown_dsc", "with_weights"]

_Network = TypeVar("_Network", bound=nn.Module)


def with_weights(network: _Network, weights: Mapping[str, Tensor]) -> _Network:
    """Return a copy of a network with these weights; what only counts batches in training stays.

    Raises:
        RuntimeError: weights are missing, or are not of this network.
    """
    counters = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    other = copy.deepcopy(network)
    other.load_state_dict({**counters, **weights}, strict=True)
    return other


def compare_network(network: nn.Module, weights: Mapping[str, Tensor], data: SliceData) -> dict[str, Any]:
    """Compare a network with itself under its stored weights on all test slices in float32, see `_difference`."""
    rows = _test_rows(data)
    maps = _cached_maps(data, rows)
    before, after = (_labels(data, rows, maps, item) for item in (network, with_weights(network, weights)))
    return _difference(before, after, data)


def compare_precision(network: nn.Module, data: SliceData) -> dict[str, Any]:
    """Compare a network in the precision of its training and its scores, often bfloat16, with itself in float32."""
    rows = _test_rows(data)
    return _difference(data.predict(network, rows), _labels(data, rows, _cached_maps(data, rows), network), data)


def compare_maps(finished: Finished, vit: DinoViT, network: nn.Module) -> dict[str, Any]:
    """Compare what a network makes of the maps in the cache, with which it was trained, and of the stored ViT's.

    Args:
        finished: the trainings.
        vit: the stored ViT (see `book.live.networks.trimmed`), which computes in float32 as the page does.
        network: a network that takes maps.

    Returns:
        As `_difference`, and the mean and the largest difference of two maps on the token grid, in percent of the
        largest value of a map.
    """
    data, rows = finished.data, _test_rows(finished.data)
    cached, live = _cached_maps(data, rows), _live_maps(finished, vit, rows)
    assert cached is not None  # a data set with maps
    percent = 100 * (live - cached).abs() / cached.amax(dim=(-2, -1), keepdim=True)
    before, after = (_labels(data, rows, maps, network) for maps in (cached, live))
    spread = {"maps_mean": round(percent.mean().item(), 4), "maps_largest": round(percent.max().item(), 3)}
    return _difference(before, after, data) | spread


def shown_dsc(finished: Finished, vit: DinoViT, network: nn.Module) -> dict[str, list[list[float | None]]]:
    """Compute the DSC [slices, classes] in percent of a network on the shown slices, with maps as in `compare_maps`.

    None stands where prediction and label both lack a class.
    """
    data, rows = finished.data, shown_rows(finished.data.prepared)
    maps = {"cached maps": _cached_maps(data, rows), "live maps": _live_maps(finished, vit, rows)}
    return {name: _dsc(data, rows, _labels(data, rows, item, network)) for name, item in maps.items()}


def _test_rows(data: SliceData) -> np.ndarray:
    return np.concatenate(list(data.prepared.volumes("test").values()))


def _cached_maps(data: SliceData, rows: np.ndarray) -> Tensor | None:
    return None if data.maps is None else data.maps[torch.as_tensor(rows)].float()


@torch.inference_mode()
def _live_maps(finished: Finished, vit: DinoViT, rows: np.ndarray) -> Tensor:
    """Compute maps [n, h, g, g] on the token grid in float32."""
    size = finished.settings.vit.image_size
    images = torch.from_numpy(np.array(finished.vit_images.images[rows]))[:, None]
    return torch.cat([token_maps(vit, to_vit_input(batch, size)) for batch in images.split(16)])


def _labels(data: SliceData, rows: np.ndarray, maps: Tensor | None, network: nn.Module) -> Tensor:
    """Predict labels [n, S, S] in float32, as the page does, with these maps [n, h, g, g]."""
    device = replace(data.device, autocast_dtype=None)
    images, given = data.prepared.images[rows], None if maps is None else maps.numpy()
    return Slices(images, data.settings, device, given, data.vit_size_px).predict(network, np.arange(len(rows)))


def _difference(before: Tensor, after: Tensor, data: SliceData) -> dict[str, Any]:
    """Compare labels of all test slices at network size: how many pixels there are, and how many have another label.

    `dsc_change` is the largest change of the mean DSC of a class over test volumes, in percentage points.
    """
    volumes = data.prepared.volumes("test")
    first, second = (100 * dsc_of_volumes(labels, data, volumes).nanmean(dim=0) for labels in (before, after))
    change = (first - second).abs().nan_to_num().max().item()
    changed = int((before != after).sum())
    return {"pixels": before.numel(), "pixels_changed": changed, "dsc_change": round(change, 3)}


def _dsc(data: SliceData, rows: np.ndarray, labels: Tensor) -> list[list[float | None]]:
    truth, classes = data.labels[torch.as_tensor(rows)], len(data.classes.names)
    of_slices = [100 * class_dsc(found, true, classes) for found, true in zip(labels, truth, strict=True)]
    return [[None if value.isnan() else round(value.item(), 2) for value in values] for values in of_slices]
