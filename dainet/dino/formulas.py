"""DINO's formulas: loss, center, schedules, gradient rules and the teacher's moving average."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import get_ema_multi_avg_fn

from dainet.dino.network import DinoHead
from dainet.errors import InputError
from dainet.parallel.collectives import mean
from dainet.settings import DinoSettings

__all__ = [
    "clip_gradients",
    "collapse",
    "cosine_schedule",
    "dino_loss",
    "entropies",
    "freeze_last_layer",
    "parameter_groups",
    "schedules",
    "teacher_temperature",
    "update_center",
    "update_teacher",
]

_UNIFORM = 0.99  # the output counts as uniform from this share of ln K on
# The output counts as constant where batch entropy exceeds teacher entropy by less than this share of the largest
# possible excess, ln K - teacher entropy.
_CONSTANT = 0.05


def dino_loss(
    student: Tensor,
    teacher: Tensor,
    center: Tensor,
    student_temperature: float,
    teacher_temperature: float | Tensor,
) -> Tensor:
    """Compute the cross-entropy of the teacher's and the student's distributions over all pairs of different views.

    P_s = softmax(student / tau_s), P_t = softmax((teacher - center) / tau_t) (eq. 1); the loss is the mean of
    -P_t(view i) . log P_s(view j) over images and over the pairs i != j. With two views in all and center = 0 that is
    exactly eq. 2 of the paper, which has neither local views nor centering; both come from DINO's code
    (`DINOLoss`, main_dino.py:363-416).

    Args:
        student: logits [V, B, K], the global views first and in the teacher's order.
        teacher: logits [G, B, K] of the G global views; no gradient flows into them.
        center: [K], to be updated after the loss, see `update_center`.
        student_temperature: tau_s.
        teacher_temperature: tau_t, smaller than tau_s.

    Raises:
        ValueError: there is no pair of different views.
    """
    views, global_views = len(student), len(teacher)
    if views < 2 or not 1 <= global_views <= views:
        raise ValueError(f"found {views} student and {global_views} teacher views; expected at least 2 and 1")
    log_probability = functional.log_softmax(student.float() / student_temperature, dim=-1)
    target = _teacher_probability(teacher, center, teacher_temperature)
    pairs = -torch.einsum("gbk,vbk->gv", target, log_probability) / student.shape[1]  # [G, V]
    # A boolean mask would make the CPU wait until the GPU has counted its elements.
    different = [torch.cat([line[:view], line[view + 1 :]]) for view, line in enumerate(pairs)]
    return torch.cat(different).mean()


def update_center(center: Tensor, teacher: Tensor, momentum: float) -> Tensor:
    """Move the center [K] towards the mean of the teacher's logits [G, B, K]: m * center + (1 - m) * mean."""
    return torch.lerp(mean(teacher.detach().float().mean(dim=(0, 1))), center, momentum)


def entropies(teacher: Tensor, center: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
    """Compute teacher entropy and batch entropy, in nats, which together reveal a collapse.

    The first is the mean entropy of the teacher's distributions, at most ln K. The second is the entropy of their mean
    over the batch. The difference is the information that the output carries about which image it saw (0 = none).

    Args:
        teacher: logits [G, B, K].
        center: [K].
        temperature: tau_t.
    """
    probability = _teacher_probability(teacher, center, temperature)
    single = torch.special.entr(probability).sum(dim=-1).mean()
    return mean(single), torch.special.entr(mean(probability.mean(dim=(0, 1)))).sum()


def collapse(history: pd.DataFrame, out_dim: int) -> str:
    """Name the failure that the last epoch of a history shows: "uniform", "constant" or "none".

    "uniform": teacher entropy is near ln K, so the output says nothing about the image. "constant": teacher entropy is
    lower, but batch entropy hardly exceeds it, so all images get the same output. Sharpening prevents the first
    collapse, centering the second (DINO paper, section 5.3). Both entropies are means over single batches, because a
    constant output may drift during an epoch.

    Args:
        history: one row per epoch, with the columns teacher_entropy and batch_entropy; may be empty ("none").
        out_dim: K.
    """
    if history.empty:
        return "none"
    last, maximum = history.iloc[-1], math.log(out_dim)
    single, batch = last["teacher_entropy"], last["batch_entropy"]
    if single >= _UNIFORM * maximum:
        return "uniform"
    return "constant" if batch - single < _CONSTANT * (maximum - single) else "none"


def cosine_schedule(
    start: float, end: float, epochs: int, iterations_per_epoch: int, warmup_epochs: int = 0
) -> list[float]:
    """Compute one value per iteration: a linear warm-up from 0 to `start`, then half a cosine to `end`.

    The last value is one step short of `end`, as in DINO's `cosine_scheduler` (utils.py:187-198).

    Raises:
        InputError: the warm-up is longer than the training.
    """
    if warmup_epochs > epochs:
        raise InputError(f"{warmup_epochs} warm-up epochs do not fit into {epochs} epochs; lower dino.warmup_epochs")
    warmup = warmup_epochs * iterations_per_epoch
    steps = epochs * iterations_per_epoch - warmup
    line = torch.linspace(0, start, warmup, dtype=torch.float64).tolist()
    return line + [end + 0.5 * (start - end) * (1 + math.cos(math.pi * i / steps)) for i in range(steps)]


def schedules(settings: DinoSettings, steps: int) -> dict[str, list[float]]:
    """Compute learning rate, weight decay and teacher momentum of every iteration; an epoch has `steps` iterations."""
    epochs = settings.epochs
    return {
        "lr": cosine_schedule(settings.lr, settings.min_lr, epochs, steps, settings.warmup_epochs),
        "weight_decay": cosine_schedule(settings.weight_decay, settings.weight_decay_end, epochs, steps),
        "momentum": cosine_schedule(settings.teacher_momentum, 1.0, epochs, steps),
    }


def teacher_temperature(settings: DinoSettings, epoch: int) -> float:
    """Compute tau_t of an epoch (from 0): linear over the warm-up epochs, then constant (main_dino.py:373-379)."""
    first, last = settings.warmup_teacher_temperature, settings.teacher_temperature
    warmup = settings.warmup_teacher_temperature_epochs
    if epoch >= warmup:
        return last
    return first + (last - first) * epoch / max(warmup - 1, 1)


def parameter_groups(module: nn.Module) -> list[dict[str, object]]:
    """Split the trainable parameters into two groups: the first with weight decay, biases and 1-D scales without.

    Source: DINO's `get_params_groups` (utils.py:632-643). Class token and position embedding decay, as there.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in parameters if parameter.ndim > 1]
    plain = [parameter for parameter in parameters if parameter.ndim <= 1]
    return [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Clip the gradient norm of each parameter tensor separately to at most `max_norm` (utils.py:132-141)."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch._foreach_norm(gradients)  # all in few launches
    torch._foreach_mul_(gradients, (max_norm / (torch.stack(norms) + 1e-6)).clamp(max=1).unbind())


def freeze_last_layer(head: DinoHead) -> None:
    """Drop the gradients of the head's last layer, so that the optimizer skips it (utils.py:144-149)."""
    for parameter in head.last_layer.parameters():
        parameter.grad = None


@torch.no_grad()
def update_teacher(student: nn.Module, teacher: nn.Module, momentum: float) -> None:
    """Update the teacher: phi_t <- lambda * phi_t + (1 - lambda) * phi_s for every parameter (eq. 3).

    Buffers are left as they are. Source: main_dino.py:347-350.
    """
    average = get_ema_multi_avg_fn(momentum)  # all tensors in few launches
    average(list(teacher.parameters()), list(student.parameters()), torch.tensor(0))


def _teacher_probability(teacher: Tensor, center: Tensor, temperature: float | Tensor) -> Tensor:
    return torch.softmax((teacher.detach().float() - center) / temperature, dim=-1)
