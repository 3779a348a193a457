"""A network that trains in a second, and what a training leaves."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dainet.segmentation.networks import build


def small_network(seed: int = 0) -> nn.Module:
    """The full dual encoder for three heads."""
    torch.manual_seed(seed)
    return build("dual-1111", heads=3, width=4)


def trained_weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
