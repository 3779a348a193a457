"""A loss from outside (`segmentation.loss`): tried before anything is trained, then used in place of the paper's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from dainet.device import enough_memory
from dainet.errors import InputError
from dainet.parallel.collectives import weighted_mean
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.outside import explained, is_outside, load_outside, outside_label, source_hash
from dainet.settings import SegmentationSettings

__all__ = ["Loss", "check_loss", "chosen_loss"]

Loss = Callable[[Tensor | Sequence[Tensor], Tensor], Tensor]
_SIDE = 32  # px of the slices on which a loss is tried; large enough for windows and distances


def chosen_loss(settings: SegmentationSettings, device: torch.device) -> Loss:
    """Return the function of logits, one tensor or several, and label that a training lowers.

    A loss from outside gets logits [B, classes, H, W] in float32 and label [B, H, W], long. Of several logits the mean
    of their losses is taken, and of several processes the mean over their shares of the batch. It has `records_steps`,
    which is False for a loss from outside that does not say otherwise (see `dainet.cuda_graphs`).

    Args:
        settings: `loss` and, for the paper's, `dice`.
        device: where the buffers of an `nn.Module` go, and the tensors that a `functools.partial` binds.

    Raises:
        InputError: as `dainet.segmentation.outside.load_outside`.
    """
    if not settings.loss:
        return partial(segmentation_loss, dice=settings.dice)
    given = load_outside(settings.loss)
    own = _moved(given, device)

    def loss(logits: Tensor | Sequence[Tensor], label: Tensor) -> Tensor:
        if not isinstance(logits, Tensor):
            return torch.stack([loss(each, label) for each in logits]).mean()
        return weighted_mean(own(logits.float(), label), label.numel())

    loss.records_steps = getattr(given, "records_steps", False)  # type: ignore[attr-defined]
    return loss


def _moved(part: Any, device: torch.device) -> Any:
    """Return a loss, or what a `functools.partial` binds, with its tensors on a device."""
    if isinstance(part, partial):
        words = {name: _moved(value, device) for name, value in part.keywords.items()}
        return partial(_moved(part.func, device), *(_moved(value, device) for value in part.args), **words)
    if isinstance(part, nn.Module):
        return copy.deepcopy(part).to(device)
    return part.to(device) if isinstance(part, Tensor) else part


def check_loss(name: str, classes: int | None, device: torch.device | None = None) -> None:
    """Try a loss on the CPU and where it will be used; nothing is read or trained.

    A second call for the same code returns at once.

    Args:
        name: the setting `segmentation.loss`; "" is the paper's, which is not tried.
        classes: outputs with background; None where they are not known yet, and the loss is only loaded.
        device: of the training; None if it is the CPU.

    Raises:
        InputError: it cannot be loaded or called; it returns no finite scalar, also where a batch is one slice without
            any organ; no finite gradient reaches the logits; or it has parameters of its own.
    """
    if name:
        if not is_outside(name):
            raise InputError(
                f"setting segmentation.loss: {name}; expected FILE.py:NAME, PACKAGE.MODULE:NAME or nothing"
            )
        if classes is None:
            load_outside(name)
        else:
            _try(name, source_hash(name), classes, device)


@lru_cache(maxsize=64)
def _try(name: str, digest: str, classes: int, device: torch.device | None) -> None:  # other code is another entry
    own, label = load_outside(name), outside_label(name)
    if isinstance(own, type):
        raise InputError(f"{label}: found the class {own.__name__}; expected a function, or an object of the class")
    if isinstance(own, nn.Module) and (names := [item for item, _ in own.named_parameters()]):
        raise InputError(f"{label}: it has parameters ({names[0]}), which would not be trained; make them buffers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        some = torch.randint(classes, (2, _SIDE, _SIDE))
        some.flatten()[:classes] = torch.arange(classes)
        gradient = _gradient(name, own, some, classes, "two slices")
        if not gradient.any():
            raise InputError(f"{label}: its gradient is 0 in all logits; expected one that a training can follow")
        _gradient(name, own, torch.zeros_like(some[:1]), classes, "one slice without any organ")
        if device not in (None, some.device):
            with enough_memory(f"{label}: trying it with two slices", "end what else uses the GPU"):
                _gradient(name, _moved(own, device), some.to(device), classes, f"two slices on {device}")


def _gradient(name: str, own: Callable[..., Tensor], label: Tensor, classes: int, what: str) -> Tensor:
    logits = torch.randn(len(label), classes, _SIDE, _SIDE, device=label.device, requires_grad=True)
    on = f"on {what}, logits {list(logits.shape)} and label {list(label.shape)}"
    with explained(name, f"computing it {on}"):
        value = own(logits.clone(), label.clone())  # which it may change in place
    if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point() or not value.isfinite():
        found = (
            f"a tensor of the shape {list(value.shape)}" if isinstance(value, Tensor) and value.ndim else repr(value)
        )
        raise InputError(f"{outside_label(name)}: it gave {found} {on}; expected one finite number as a tensor []")
    if not value.requires_grad:
        raise InputError(f"{outside_label(name)}: no gradient reaches the logits; leave out detach, item and argmax")
    with explained(name, f"its gradient {on}"):
        (gradient,) = torch.autograd.grad(value, logits, allow_unused=True)
    if gradient is None or not gradient.isfinite().all():
        fault = "no gradient reaches the logits" if gradient is None else "NaN or infinity in its gradient"
        raise InputError(f"{outside_label(name)}: {fault} {on}")
    return gradient
