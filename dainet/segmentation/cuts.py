"""Cuts in a trained network at inference: heads or skips are taken away from it, and nothing is trained again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from dainet.errors import InputError
from dainet.segmentation.evaluation import dsc_of_volumes
from dainet.segmentation.networks import DAINet
from dainet.segmentation.slices import SliceData, final_logits, run_network

__all__ = ["WAYS", "CutNetwork", "Way", "head_importance", "stand_ins"]

Way = Literal["zero", "mean", "other patient"]  # what stands in for a map that is cut
WAYS: tuple[Way, ...] = get_args(Way)


def _heads_of(model: nn.Module) -> int:
    """Return how many attention maps a network takes, by its attribute `heads`; 0 where that is not a number."""
    heads = getattr(model, "heads", 0)  # in a network from outside, it may be anything
    return heads if isinstance(heads, int) else 0


class CutNetwork(nn.Module):
    """A trained network whose attention heads and attention skips can be switched off and on again.

    The map of a head that is off is replaced by its place in `instead` (see `stand_ins`), and the features of a skip
    that is off by zeros. That differs from a network that was *trained* without them and has adapted to it. Features
    are kept while image and maps are the same objects and the same heads are on, so that switching a skip costs only
    one pass through the decoder.

    `heads_on` has one entry per head. `instead` broadcasts to the maps [B, h, H, W] of the batch that follows.
    `skips_on` has one entry per level, deepest (1/8) first; it has no effect where the network has no such skip.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.heads = _heads_of(model)
        self.heads_on: tuple[bool, ...] = (True,) * self.heads
        self.instead = torch.zeros(())
        self.skips_on: tuple[bool, ...] = (True,) * 4
        self._image: tuple[Tensor, list[Tensor]] | None = None
        self._attention: tuple[Tensor, Tensor, tuple[bool, ...], list[Tensor]] | None = None

    def forward(self, image: Tensor, attention: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, H, W] from image [B, C, H, W] and maps [B, h, H, W]."""
        if attention is None or attention.shape[1] != self.heads:
            return final_logits(run_network(self.model, image, attention))
        if not isinstance(self.model, DAINet):
            return final_logits(self.model(image, self._switched(attention)))
        features = self._attention_features(self.model, attention)
        kept = (*reversed(self.skips_on), True)  # full resolution first; the bottleneck has no switch
        return self.model.decode(
            self._image_features(self.model, image),
            [feature * on for feature, on in zip(features, kept, strict=True)],
        )

    def _switched(self, attention: Tensor) -> Tensor:
        on = torch.tensor(self.heads_on, device=attention.device)[:, None, None]
        return torch.where(on, attention, self.instead)

    def _image_features(self, model: DAINet, image: Tensor) -> list[Tensor]:
        if self._image is None or self._image[0] is not image:
            self._image = image, model.image_encoder(image)
        return self._image[1]

    def _attention_features(self, model: DAINet, attention: Tensor) -> list[Tensor]:
        known = self._attention
        if known is None or known[0] is not attention or known[1] is not self.instead or known[2] != self.heads_on:
            features = model.attention_encoder(self._switched(attention))
            self._attention = known = attention, self.instead, self.heads_on, features
        return known[3]


def stand_ins(way: Way, data: SliceData, rows: Tensor, maps: Tensor) -> Tensor:
    """Return what stands in for the maps [B, h, H, W] of these rows when they are cut; broadcasts to their shape.

    Args:
        way: "zero"; "mean", each map's own mean over the slice, which keeps its level but no place; "other patient",
            the maps of the next patient at the same relative depth, a plausible input that belongs to another slice.
        data: the slices.
        rows: row numbers of the batch [B].
        maps: the maps of these rows, as a network takes them.
    """
    if way == "zero":
        return maps.new_zeros(())
    if way == "mean":
        return maps.mean(dim=(2, 3), keepdim=True)
    others = data.inputs(data.donors[rows])[1]
    assert others is not None  # there are maps
    return others


def head_importance(
    model: nn.Module, data: SliceData, volumes: Mapping[str, np.ndarray], way: Way = "zero"
) -> pd.DataFrame:
    """Compute the DSC that a trained network loses when one attention head is cut, and when all are.

    Use validation volumes, because heads must not be chosen on test volumes.

    Args:
        model: a trained network that takes attention maps.
        data: its slices, with maps.
        volumes: case id -> row numbers.
        way: what the network gets instead of a map that is cut, see `stand_ins`.

    Returns:
        Columns head ("Head 1" to "Head h", then "all heads"), class (the classes, then "mean"), dsc and lost, both in
        percent.

    Raises:
        InputError: the network takes no maps, or there are no volumes.
    """
    count, maps = _heads_of(model), 0 if data.reduced_features else data.heads  # features are no maps of heads
    if not count or count != maps or not volumes:
        found = f"{count} heads, {maps} maps and {len(volumes)} volumes"
        raise InputError(f"head importance needs a network with attention maps, and at least one volume; found {found}")
    heads = range(count)
    everything = (True,) * count
    on = {f"Head {head + 1}": tuple(other != head for other in heads) for head in heads}
    on["all heads"] = (False,) * count
    predictions = _predict_each(model, data, volumes, way, [everything, *on.values()])
    whole, *cut = (_class_means(prediction, data, volumes) for prediction in predictions)
    parts = [
        pd.DataFrame({"head": name, "class": dsc.index, "dsc": dsc.array, "lost": (whole - dsc).array})
        for name, dsc in zip(on, cut, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _predict_each(
    model: nn.Module,
    data: SliceData,
    volumes: Mapping[str, np.ndarray],
    way: Way,
    settings: Sequence[tuple[bool, ...]],
) -> list[Tensor]:
    """Predict labels [n, S, S] under each setting of the heads; a batch's image is encoded once for all of them."""
    network, parts = CutNetwork(model).eval(), []
    rows = torch.as_tensor(np.concatenate(list(volumes.values())), device=data.device.torch_device)
    with torch.inference_mode(), data.device.autocast():
        for chunk in rows.split(32):
            image, maps = data.inputs(chunk)
            assert maps is not None  # the network has heads
            network.instead = stand_ins(way, data, chunk, maps)
            for network.heads_on in settings:
                parts.append(network(image, maps).argmax(dim=1).to(torch.uint8))
    return [torch.cat(parts[number :: len(settings)]) for number in range(len(settings))]


def _class_means(prediction: Tensor, data: SliceData, volumes: Mapping[str, np.ndarray]) -> pd.Series:
    """Compute DSC in percent, per class over volumes, then "mean" over volumes and classes as `mean_volume_dsc`."""
    scores = 100 * dsc_of_volumes(prediction, data, volumes)
    means: Sequence[float] = [*scores.nanmean(dim=0).tolist(), scores.nanmean().item()]
    return pd.Series(means, index=[*data.classes.names, "mean"])
