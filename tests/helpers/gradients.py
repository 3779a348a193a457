"""Which parameters of a network learn nothing."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def without_gradient(model: nn.Module, size: int, classes: int, channels: int = 1) -> set[str]:
    """Names of parameters whose gradient is missing or zero everywhere after a training step on noise.

    Batch norm uses its running statistics: those of the batch would cancel the bias of a convolution before it.
    """
    torch.manual_seed(0)
    model.train()
    for part in model.modules():
        part.training &= not isinstance(part, nn.BatchNorm2d)
    logits = model(torch.rand(2, channels, size, size))
    heads = logits if isinstance(logits, list) else [logits]
    assert all(head.shape == (2, classes, size, size) for head in heads)
    label = torch.randint(classes, (2, size, size))
    torch.stack([functional.cross_entropy(head, label) for head in heads]).mean().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient is None or gradient.isfinite().all() for gradient in gradients.values())
    return {name for name, gradient in gradients.items() if gradient is None or not gradient.any()}
