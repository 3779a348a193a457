"""A training step of dual-1111 at width 64 and 224 px with augmentation, compared with plain float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.data import PAPER_SIZE, paper_size_slices
from benchmarks.timing import Comparison, compare, product_limit
from dainet.device import Device, choose_device
from dainet.segmentation.catalog import build
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.networks import count_flops
from dainet.segmentation.step import adam, train_epoch, training_step

__all__ = ["PLAIN", "comparisons"]

PLAIN = Device(torch.device("cpu"), None, torch.contiguous_format, fused_adam=False, fused_attention=True, vit_batch=16)
_NAME = "dual-1111"


class _Trainee:
    """A network with its optimizer for one `Device`; `step` is an epoch of one batch."""

    def __init__(self, device: Device) -> None:
        torch.manual_seed(0)
        settings = PAPER_SIZE.segmentation
        self.data = paper_size_slices(device)
        self.model = build(_NAME, heads=self.data.heads, width=settings.width).to(memory_format=device.memory_format)
        self.optimizer = adam(self.model, settings, device)
        self._update = training_step(self.model, self.data, settings, self.optimizer)

    def step(self) -> float:
        settings = PAPER_SIZE.segmentation
        return train_epoch(self._update, self.optimizer, self.data, np.arange(settings.batch_size), settings, 0, 0)


def comparisons(rounds: int = 3) -> Iterator[Comparison]:
    """Compare a step on this hardware's settings with one in plain float32."""
    settings, fast, plain = PAPER_SIZE.segmentation, _Trainee(choose_device("cpu")), _Trainee(PLAIN)
    rows = torch.arange(settings.batch_size)
    inputs, label = plain.data.inputs(rows), plain.data.labels[rows].long()
    flops = count_flops(lambda: segmentation_loss(plain.model(*inputs), label).backward())
    losses = fast.step(), plain.step()
    yield compare(
        f"training step, {_NAME}, width {settings.width}, {settings.image_size} px, batch {settings.batch_size}",
        "float32, contiguous, Adam not fused",
        fast.step,
        plain.step,
        2.5,
        f"loss of the first step {losses[0]:.4f} and {losses[1]:.4f}",
        rounds,
        product_limit(flops, choose_device("cpu").autocast_dtype),
    )
