"""The loss of the paper (equations 4 to 6), with the Dice denominators of its peers' code or of its own eq. 5."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dainet.errors import InputError, unknown
from dainet.parallel.collectives import summed, weighted_mean

__all__ = ["dice_loss", "segmentation_loss"]

_SMOOTH = 1e-5  # the epsilon of eq. 5; value from MT-UNet


def segmentation_loss(logits: Tensor | Sequence[Tensor], label: Tensor, dice: str = "squared") -> Tensor:
    """Compute the mean of cross-entropy and Dice loss (eq. 6).

    Eq. 4 is read as the mean over pixels, without its 1/N (docs/protocol.md#5.2). Where several processes share a
    batch, each of them gets the loss of the whole batch.

    Args:
        logits: [B, classes, H, W]; or several of them, of a network with deep supervision, whose losses are averaged.
        label: [B, H, W], long, 0 = background.
        dice: see `dice_loss`.
    """
    if not isinstance(logits, Tensor):
        return torch.stack([segmentation_loss(each, label, dice) for each in logits]).mean()
    cross_entropy = weighted_mean(functional.cross_entropy(logits.float(), label), label.numel())
    return 0.5 * cross_entropy + 0.5 * dice_loss(logits, label, dice)


def dice_loss(logits: Tensor, label: Tensor, dice: str = "squared") -> Tensor:
    """Compute one minus the soft Dice of each class over the whole batch, averaged over classes and background.

    Args:
        logits: [B, classes, H, W].
        label: [B, H, W], long.
        dice: "squared": denominators sum(p^2) + sum(y^2) as in TransUNet's and MT-UNet's `DiceLoss` (utils.py:9-45);
            "eq5": sum(p) + sum(y) as printed in the paper's eq. 5.

    Raises:
        InputError: `dice` is unknown, or batch, height and width of logits and label differ.
    """
    if label.shape != logits[:, 0].shape:
        found = f"logits {tuple(logits.shape)} and label {tuple(label.shape)}"
        raise InputError(f"{found}; expected [B, classes, H, W] and [B, H, W]")
    if dice not in ("squared", "eq5"):
        raise unknown("dice", dice, ("squared", "eq5"))
    probability = logits.float().softmax(dim=1)
    target = functional.one_hot(label, logits.shape[1]).movedim(-1, 1).to(probability.dtype)  # [B, classes, H, W]
    power = 2 if dice == "squared" else 1
    intersection, size = (
        summed(term.sum(dim=(0, 2, 3))) for term in (probability * target, probability**power + target**power)
    )
    return torch.mean(1 - (2 * intersection + _SMOOTH) / (size + _SMOOTH))
