"""The training step as the peers write it: float32, NCHW, Adam as it comes, batches from a DataLoader on the host."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from benchmarks.batches import transunet_batch, write_slices
from dainet.device import Device
from dainet.segmentation.catalog import build
from dainet.segmentation.losses import segmentation_loss

__all__ = ["plain_training"]

_FILES, _BATCH, _WORKERS, _STEPS = 64, 16, 8, 24


class _Slices(Dataset[tuple[Tensor, Tensor]]):
    """Slices of 512 px from files, augmented and shrunk to 224 px one by one (TransUNet dataset_synapse.py:11-46)."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return _BATCH * (_STEPS + 8)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        image, label = transunet_batch([self.files[number % len(self.files)]], np.random.default_rng(number))
        return image[0], label[0] * 3


def plain_training(name: str, width: int, size: int, device: Device) -> float:
    """Measure the seconds of one step, waiting for batches included; torch's own defaults, so convolutions use TF32."""
    model = build(name, width=width).to(device.torch_device).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, weight_decay=1e-4)
    tokens = torch.rand(_BATCH, 6, 16, 16, device=device.torch_device)
    with tempfile.TemporaryDirectory() as folder:
        loader = DataLoader(_Slices(write_slices(Path(folder), _FILES)), _BATCH, num_workers=_WORKERS, pin_memory=True)
        batches = iter(loader)
        for number in range(_STEPS + 4):
            if number == 4:  # workers have started, kernels are chosen
                torch.cuda.synchronize()
                start = perf_counter()
            image, label = (part.to(device.torch_device) for part in next(batches))
            image, label = (_resized(part, size) for part in (image, label[:, None]))
            loss = segmentation_loss(model(image, functional.interpolate(tokens, size=size)), label[:, 0].long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.cuda.synchronize()
    return (perf_counter() - start) / _STEPS


def _resized(tensor: Tensor, size: int) -> Tensor:
    return tensor if tensor.shape[-1] == size else functional.interpolate(tensor.float(), size=size)
