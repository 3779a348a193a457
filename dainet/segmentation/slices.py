"""All slices of a prepared store on the device, as the batches that a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dainet.attention.controls import donor_rows
from dainet.attention.maps import network_maps, normalize_maps
from dainet.attention.stage import open_attention
from dainet.cache.store import StageResult
from dainet.data.prepared import Prepared
from dainet.device import Device, enough_memory
from dainet.settings import AttentionSettings

__all__ = ["SliceData", "Slices", "final_logits", "run_network"]

_ADVICE = "choose another device"


class Slices:
    """Slices on the device with what a network takes next to them, as the batches that it gets.

    Args:
        images: [N, S, S] as a prepared store holds them.
        settings: how maps are resized and scaled on use.
        device: where images and maps are kept.
        maps: on the token grid [N, h, gh, gw], or features [N, D, gh, gw]; None for networks that take none.
        vit_size_px: side of the ViT's input, from which maps were made; 0 where no ViT has made them.
        image_channels: a control (`attention.control=image`): instead of maps, the second encoder gets the image itself
            as this many equal channels, each stretched to [0, 1] as a map is.
        reduced_features: if not 0, `maps` holds the ViT's features, which stay on the token grid as they are, and the
            network itself reduces them to this many channels.

    Raises:
        ValueError: images and maps differ in number.
    """

    def __init__(
        self,
        images: np.ndarray,
        settings: AttentionSettings,
        device: Device,
        maps: np.ndarray | None = None,
        vit_size_px: int = 0,
        image_channels: int = 0,
        reduced_features: int = 0,
    ) -> None:
        if maps is not None and len(maps) != len(images):
            raise ValueError(f"{len(maps)} attention maps for {len(images)} slices; extract them from the same data")
        self.images = _to_device(images, device)[:, None]  # [N, 1, S, S]
        self.maps = None if maps is None else _to_device(maps, device)
        self.settings, self.device, self.vit_size_px = settings, device, vit_size_px
        self.image_channels, self.reduced_features = image_channels, reduced_features

    @property
    def heads(self) -> int:
        """Number of attention maps per slice, or of channels in their place; 0 without both."""
        if self.maps is None:
            return self.image_channels
        return self.reduced_features or self.maps.shape[1]

    @property
    def feature_channels(self) -> int:
        """Width D of the features of a token; 0 without features."""
        return self.maps.shape[1] if self.maps is not None and self.reduced_features else 0

    def inputs(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the inputs of a network for these rows, float32: image [B, 1, S, S] and maps [B, h, S, S] or None.

        In the place of maps, features are [B, D, gh, gw].
        """
        image = self.images[rows].float()
        if self.image_channels:
            copies = normalize_maps(image, "minmax", 0).expand(-1, self.image_channels, -1, -1)
            return self._formatted(image), self._formatted(copies)
        if self.maps is None:
            return self._formatted(image), None
        if self.reduced_features:
            return self._formatted(image), self._formatted(self.maps[rows].float())
        maps = network_maps(self.maps[rows].float(), image.shape[-1], self.settings, self.vit_size_px)
        return self._formatted(image), self._formatted(maps)

    def predict(self, model: nn.Module, rows: np.ndarray, batch_size: int = 32) -> Tensor:
        """Predict labels [n, S, S], uint8 on the device, for the given rows; leaves the model in evaluation mode.

        A network that draws numbers even here (`transcascade-published`) draws the same ones each time.
        """
        model.eval()
        chunks = torch.as_tensor(rows, device=self.device.torch_device).split(batch_size)
        enough = enough_memory(f"labels of {len(rows)} slices", _ADVICE)
        with enough, torch.inference_mode(), self.device.autocast(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            parts = [
                final_logits(run_network(model, *self.inputs(chunk))).argmax(dim=1).to(torch.uint8) for chunk in chunks
            ]
        return torch.cat(parts)

    def _formatted(self, tensor: Tensor) -> Tensor:
        return tensor.contiguous(memory_format=self.device.memory_format)


class SliceData(Slices):
    """Images, labels and token-grid maps of every slice, kept on the device (no DataLoader is needed).

    On the CPU they stay mapped from disk, so that memory does not grow with the number of slices.

    Args:
        prepared: images [N, S, S] and labels [N, S, S].
        attention: the finished attention stage of the same rows; None for networks that take no maps.
        settings, device, image_channels, reduced_features: see `Slices`.

    Raises:
        ValueError: images and maps differ in number.
    """

    def __init__(
        self,
        prepared: Prepared,
        attention: StageResult | None,
        settings: AttentionSettings,
        device: Device,
        image_channels: int = 0,
        reduced_features: int = 0,
    ) -> None:
        maps, grid = (None, None) if attention is None else open_attention(attention)
        vit_size_px = grid.vit_size_px if grid else 0
        super().__init__(prepared.images, settings, device, maps, vit_size_px, image_channels, reduced_features)
        self.prepared, self.attention, self.classes = prepared, attention, prepared.classes
        self.labels = _to_device(prepared.labels, device)

    @cached_property
    def donors(self) -> Tensor:
        """Row of the next patient's slice at the same relative depth [N], see `donor_rows`; of any split."""
        donors = donor_rows(self.prepared.cases.assign(split="any"))  # a split can have a single patient
        return _to_device(donors, self.device)


def run_network(model: nn.Module, image: Tensor, maps: Tensor | None) -> Any:
    """Return what a network makes of image and maps, or of the image alone where there are no maps."""
    return model(image) if maps is None else model(image, maps)


def final_logits(logits: Tensor | Sequence[Tensor]) -> Tensor:
    """Return the logits [B, classes, H, W] that predict: the last ones of a network that returns several."""
    return logits if isinstance(logits, Tensor) else logits[-1]


def _to_device(array: np.ndarray, device: Device) -> Tensor:
    with enough_memory(f"an array of the shape {list(array.shape)}", _ADVICE):
        return torch.from_numpy(array).to(device.torch_device)
