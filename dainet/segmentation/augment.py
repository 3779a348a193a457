"""Joint flips and rotations of image, label and attention maps, as whole batches on the device."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["augment", "random_transforms", "transform"]

_MAX_ANGLE_DEG = 20  # whole degrees -20..19, as the peers draw them


def augment(tensors: list[Tensor], matrices: Tensor) -> list[Tensor]:
    """Apply one of `matrices` [B, 2, 2] to each sample, the same in every tensor [B, C, S, S] of the list.

    Every tensor is resampled by nearest neighbor (the peers' order=0), with 0 outside. The peers transform on the
    native grid before resizing; dainet transforms at network size, as a batch on the device.
    """
    matrices = matrices.to(tensors[0].device, non_blocking=True)
    together = transform(torch.cat([tensor.float() for tensor in tensors], dim=1), matrices)
    parts = together.split([tensor.shape[1] for tensor in tensors], dim=1)
    return [part.to(tensor.dtype) for part, tensor in zip(parts, tensors, strict=True)]


def random_transforms(batch: int, generator: torch.Generator) -> Tensor:
    """Draw transforms [B, 2, 2], from output to input coordinates about the image center; `generator` is on the CPU.

    The recipe is that of the peers (TransUNet dataset_synapse.py:11-46; paper: "random flipping and rotations"): with
    probability 0.5 zero to three quarter turns and always a flip; otherwise, with probability 0.5, a rotation by -20 to
    19 degrees; otherwise nothing.
    """

    def draw(high: int) -> Tensor:
        return torch.randint(high, (batch,), generator=generator)

    turn, flip_rows, angle, branch = draw(4), draw(2), draw(2 * _MAX_ANGLE_DEG) - _MAX_ANGLE_DEG, draw(4)
    flipped = _rotation(turn * (math.pi / 2)) @ _flip(flip_rows)
    rotated = _rotation(torch.deg2rad(angle.float()))
    identity = torch.eye(2).expand(batch, 2, 2)
    choice = branch[:, None, None]  # 0, 1: turn and flip; 2: rotation; 3: nothing
    return torch.where(choice < 2, flipped, torch.where(choice == 2, rotated, identity))


def transform(tensor: Tensor, matrices: Tensor, mode: Literal["nearest", "bilinear"] = "nearest") -> Tensor:
    """Resample [B, C, S, S] by one matrix [B, 2, 2] per sample; 0 outside."""
    theta = functional.pad(matrices, (0, 1))  # [B, 2, 3], no translation
    grid = functional.affine_grid(theta, list(tensor.shape), align_corners=False)
    return functional.grid_sample(tensor.float(), grid, mode=mode, align_corners=False).to(tensor.dtype)


def _rotation(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)


def _flip(rows: Tensor) -> Tensor:
    """Mirror columns where `rows` is 0 and rows where it is 1."""
    sign = 1 - 2 * rows.float()
    return torch.diag_embed(torch.stack([-sign, sign], -1))
