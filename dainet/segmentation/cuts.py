"""Cuts in a trained network at inference: attention heads or skips are set to zero, and nothing is trained again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from torch import Tensor, nn

from dainet.errors import InputError
from dainet.segmentation.evaluation import volume_dsc
from dainet.segmentation.networks import DAINet, UNet
from dainet.segmentation.slices import SliceData

__all__ = ["CutNetwork", "head_importance"]


class CutNetwork(nn.Module):
    """A trained network whose attention heads and attention skips can be switched off and on again.

    The map of a head that is off, and the features of a skip that is off, are replaced by zeros. That differs from a
    network that was *trained* without them and has adapted to it. Features are kept while image and maps are the same
    objects and the same heads are on, so that switching a skip costs only one pass through the decoder.

    `heads_on` has one entry per head. `skips_on` has one per level, deepest (1/8) first; it has no effect where the
    network has no such skip.
    """

    def __init__(self, model: UNet | DAINet) -> None:
        super().__init__()
        self.model = model
        self.heads_on: tuple[bool, ...] = (True,) * model.heads
        self.skips_on: tuple[bool, ...] = (True,) * 4
        self._image: tuple[Tensor, list[Tensor]] | None = None
        self._attention: tuple[Tensor, tuple[bool, ...], list[Tensor]] | None = None

    def forward(self, image: Tensor, attention: Tensor | None) -> Tensor:
        """Compute logits [B, classes, H, W] from image [B, C, H, W] and maps [B, h, H, W]."""
        if attention is None or not self.model.heads:
            return self.model(image, attention)
        if not isinstance(self.model, DAINet):
            return self.model(image, self._switched(attention))
        features = self._attention_features(self.model, attention)
        kept = (*reversed(self.skips_on), True)  # full resolution first; the bottleneck has no switch
        return self.model.decode(
            self._image_features(self.model, image),
            [feature * on for feature, on in zip(features, kept, strict=True)],
        )

    def _switched(self, attention: Tensor) -> Tensor:
        return attention * attention.new_tensor(self.heads_on)[:, None, None]

    def _image_features(self, model: DAINet, image: Tensor) -> list[Tensor]:
        if self._image is None or self._image[0] is not image:
            self._image = image, model.image_encoder(image)
        return self._image[1]

    def _attention_features(self, model: DAINet, attention: Tensor) -> list[Tensor]:
        known = self._attention
        if known is None or known[0] is not attention or known[1] != self.heads_on:
            self._attention = attention, self.heads_on, model.attention_encoder(self._switched(attention))
        return self._attention[2]  # type: ignore[index]


def head_importance(model: UNet | DAINet, data: SliceData, volumes: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Compute the DSC that a trained network loses when one attention head is cut, and when all are.

    Use validation volumes, because heads must not be chosen on test volumes.

    Args:
        model: a trained network that takes attention maps.
        data: its slices, with maps.
        volumes: case id -> row numbers.

    Returns:
        Columns head ("Head 1" to "Head h", then "all heads"), class (the classes, then "mean"), dsc and lost, both in
        percent.

    Raises:
        InputError: the network takes no maps, or there are no volumes.
    """
    if not model.heads or not volumes:
        found = f"{model.heads} heads and {len(volumes)} volumes"
        raise InputError(f"head importance needs a network with attention maps, and at least one volume; found {found}")
    network, heads = CutNetwork(model), range(model.heads)
    whole = _class_means(network, data, volumes)
    parts = []
    for name, off in [*((f"Head {head + 1}", {head}) for head in heads), ("all heads", set(heads))]:
        network.heads_on = tuple(head not in off for head in heads)
        dsc = _class_means(network, data, volumes)
        parts.append(pd.DataFrame({"head": name, "class": dsc.index, "dsc": dsc.array, "lost": (whole - dsc).array}))
    return pd.concat(parts, ignore_index=True)


def _class_means(model: nn.Module, data: SliceData, volumes: Mapping[str, np.ndarray]) -> pd.Series:
    """Compute DSC in percent, per class over volumes, then "mean" over volumes and classes as `mean_volume_dsc`."""
    scores = 100 * volume_dsc(model, data, volumes)
    means: Sequence[float] = [*scores.nanmean(dim=0).tolist(), scores.nanmean().item()]
    return pd.Series(means, index=[*data.classes.names, "mean"])
