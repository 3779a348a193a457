"""What a network from outside returns: refused, in one line, where it is not logits or a list of logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dainet.errors import InputError

__all__ = ["check_logits"]


def check_logits(said: str, output: Any, expected: list[int]) -> None:
    """Refuse what is not a tensor, or a list of tensors, of finite logits of the expected shape [B, classes, H, W].

    Args:
        said: whose output it is, and when; begins the message.
        output: what forward returned.
        expected: the shape.

    Raises:
        InputError: the message says what was found.
    """
    parts = list(output) if isinstance(output, list | tuple) else [output]
    if not parts or not all(isinstance(part, Tensor) for part in parts):
        raise InputError(f"{said}, forward returned {_kind(output)}; expected logits {expected}, or a list of such")
    for number, part in enumerate(parts):
        what = f"{said}, " + (f"number {number + 1} of {len(parts)} has" if len(parts) > 1 else "forward returned")
        if list(part.shape) != expected:
            raise InputError(f"{what} the shape {list(part.shape)}; expected {expected}{_advice(part, expected)}")
        if not part.is_floating_point():
            raise InputError(f"{what} numbers of type {part.dtype}; expected logits")
        if not part.isfinite().all():
            raise InputError(f"{what} numbers that are not finite; expected finite logits")
        if part.min() >= 0 and torch.allclose(part.sum(dim=1), part.new_ones(())):
            raise InputError(f"{what} numbers that sum to 1 over the classes; expected logits, before a softmax")


def _kind(output: Any) -> str:
    if isinstance(output, dict):
        return f"a dictionary with {', '.join(map(str, output))}"
    if isinstance(output, list | tuple):
        return f"{type(output).__name__} of {', '.join(sorted({type(part).__name__ for part in output})) or 'nothing'}"
    return f"{type(output).__name__}"


def _advice(part: Tensor, expected: list[int]) -> str:
    if part.ndim != len(expected):
        return ""
    if part.shape[1] != expected[1]:
        return f": {expected[1]} channels are the classes with background, which the callable gets as `classes`"
    return ": resize inside forward, functional.interpolate(x, image.shape[-2:], mode='bilinear')"
