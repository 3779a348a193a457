"""Weights and an image written as formulas: two programs that use them can be compared by a few golden numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)
_LINEAR = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


def noise(shape: Sequence[int]) -> Tensor:
    """u(t) = frac(43758.5453 sin(12.9898 t + 78.233)) - 0.5 for the flat index t, float64, in this shape."""
    count = prod(shape)
    return _noise(count.bit_length())[:count].reshape(tuple(shape))


@cache  # of some lengths, since networks have a hundred million weights
def _noise(bits: int) -> Tensor:
    value = 43758.5453 * torch.sin(12.9898 * torch.arange(2**bits, dtype=torch.float64) + 78.233)
    return value - value.floor() - 0.5


def weight_by_rule(shape: Sequence[int]) -> Tensor:
    """2 sqrt(6 / fan) u(t) with fan = product of shape[1:]."""
    return 2 * (6 / prod(shape[1:])) ** 0.5 * noise(shape)


def fill(module: Network, fused_qkv: str = "as three", **scalars: float) -> Network:
    """Write the golden weights into a network, in float64 and evaluation mode, and return it.

    Args:
        module: any network of convolutions, linears, norms and tables (positions, relative positions).
        fused_qkv: "as three" fills each third of a linear named `qkv` as a linear of its own; "as one" the whole.
        scalars: values of parameters that are no table, by the last part of their names.
    """
    module.double().eval()
    with torch.no_grad():
        for path, part in module.named_modules():
            thirds = 3 if path.endswith("qkv") and fused_qkv == "as three" else 1
            for name, parameter in part.named_parameters(recurse=False):
                parameter.copy_(torch.cat([_value(part, name, chunk, scalars) for chunk in parameter.chunk(thirds)]))
            if isinstance(part, nn.BatchNorm2d):
                part.reset_running_stats()
    return module


def _value(part: nn.Module, name: str, parameter: Tensor, scalars: dict[str, float]) -> Tensor:
    if isinstance(part, _NORMS):
        return torch.full_like(parameter, float(name == "weight"))
    if isinstance(part, _LINEAR):
        return weight_by_rule(parameter.shape) if name == "weight" else 0.02 * noise(parameter.shape)
    if name in scalars:
        return torch.full_like(parameter, scalars[name])
    return 0.04 * noise(parameter.shape)


def golden_image(size: int = 224) -> Tensor:
    """x[h, w] = sin(0.05 h) cos(0.03 w), [1, 1, size, size] in float64."""
    pixels = torch.arange(size, dtype=torch.float64)
    return (torch.sin(0.05 * pixels)[:, None] * torch.cos(0.03 * pixels))[None, None]


def check_golden(logits: Tensor, expected: Sequence[float]) -> None:
    """Compare logits [1, 4, 224, 224] with mean, std and four values of a golden row, to 1e-4 relative."""
    points: list[Any] = [(0, 0, 0, 0), (0, 1, 112, 112), (0, 2, 50, 150), (0, 3, 223, 223)]
    found = [logits.mean(), logits.std(correction=0), *(logits[point] for point in points)]
    assert logits.shape == (1, 4, 224, 224)
    assert [float(value) for value in found] == pytest.approx(expected, rel=1e-4)
