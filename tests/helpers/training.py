"""A network that trains in a second, and an interrupted training."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dainet.data.prepared import Prepared
from dainet.segmentation.catalog import BASELINES, build
from dainet.segmentation.slices import SliceData
from dainet.segmentation.training import mean_volume_dsc, train
from dainet.settings import SegmentationSettings


def small_network(seed: int = 0) -> nn.Module:
    """The full dual encoder for three heads."""
    torch.manual_seed(seed)
    return build("dual-1111", heads=3, width=4)


def trained_weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def train_until(
    epoch: int,
    settings: SegmentationSettings,
    prepared: Prepared,
    data: SliceData,
    folder: Path,
    model: nn.Module | None = None,
) -> None:
    """Train, interrupted while the volumes of this epoch are scored: the state of the epoch before is the last."""
    calls = []

    def interrupt(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == epoch:
            raise KeyboardInterrupt
        return mean_volume_dsc(*args)

    with patch("dainet.segmentation.training.mean_volume_dsc", interrupt), pytest.raises(KeyboardInterrupt):
        train(model or small_network(), settings, 0, prepared, data, folder)


def narrow_baselines() -> list[str]:
    """Competitors that can be narrow or have a reduced form, by the names of those."""
    fixed = {name for name in BASELINES if f"{name}-small" in BASELINES}
    return sorted(BASELINES.keys() - fixed - {"dual-features"})
