"""One training step of DINO: its networks, loss and updates (paper section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dainet.cache.resume import epoch_seed
from dainet.cuda_graphs import compiled, recorded
from dainet.device import Device
from dainet.dino.formulas import (
    clip_gradients,
    dino_loss,
    entropies,
    freeze_last_layer,
    parameter_groups,
    teacher_temperature,
    update_center,
    update_teacher,
)
from dainet.dino.network import DinoHead, DinoNetwork, head_from_authors
from dainet.errors import InputError
from dainet.parallel import collectives
from dainet.settings import DinoSettings
from dainet.vit.checkpoints import load_dino_center, load_dino_head
from dainet.vit.model import load_vit, set_fused_attention

__all__ = ["TrainingState", "starting_state", "train_step"]

Gradients = Callable[..., tuple[Tensor, list[Tensor | None]]]


@dataclass
class TrainingState:
    """Everything that changes during training; `center` is [K] float32, `parallel` averages the student's gradients.

    `gradients` is made by the first step, see `train_step`.
    """

    student: DinoNetwork
    parallel: nn.Module
    teacher: DinoNetwork
    optimizer: torch.optim.Optimizer
    center: Tensor
    history: list[dict[str, float]]
    gradients: Gradients | None = None


def starting_state(settings: DinoSettings, weights: str, device: Device, heads: int | None = None) -> TrainingState:
    """Build student and teacher from the same weights, with head and center of a full checkpoint or with a new head.

    Without centering the center is zero and stays so, whatever the checkpoint holds.
    """
    torch.manual_seed(epoch_seed(settings.seed, 0))
    vit, head_state = load_vit(weights, settings.drop_path, heads), load_dino_head(weights, "teacher")
    if head_state is None:
        head = DinoHead(vit.embed_dim, settings.out_dim, settings.norm_last_layer)
    else:
        head = head_from_authors(head_state, settings.out_dim, settings.norm_last_layer)
    student, teacher = DinoNetwork(vit, head), DinoNetwork(load_vit(weights, heads=heads), deepcopy(head))
    student.train().to(device.torch_device)
    teacher.eval().requires_grad_(False).to(device.torch_device)
    for network in (student, teacher):
        set_fused_attention(network, device.fused_attention)
    optimizer = torch.optim.AdamW(parameter_groups(student), lr=settings.lr, fused=device.fused_adam)
    center = _starting_center(settings, weights).to(device.torch_device)
    return TrainingState(student, collectives.parallel(student, device), teacher, optimizer, center, [])


def train_step(
    state: TrainingState, settings: DinoSettings, views: list[Tensor], device: Device, epoch: int, now: dict[str, float]
) -> Tensor:
    """Update student, center and teacher once; return loss, teacher entropy and batch entropy as one tensor [3].

    Loss, gradients and center are one recorded graph on CUDA (`dainet.cuda_graphs`); the optimizer, whose weight decay
    changes with every step, and the teacher are a few launches more.
    """
    if state.gradients is None:
        state.gradients = _gradients(state, settings, device)
    temperature = torch.tensor(teacher_temperature(settings, epoch))
    numbers, gradients = state.gradients(device.send(temperature), *views)
    for parameter, gradient in zip(_trained(state.student), gradients, strict=True):
        parameter.grad = gradient
    if epoch < settings.freeze_last_layer_epochs:
        freeze_last_layer(state.student.head)
    for group in state.optimizer.param_groups:
        group["lr"] = now["lr"]
    state.optimizer.param_groups[0]["weight_decay"] = now["weight_decay"]
    state.optimizer.step()
    update_teacher(state.student, state.teacher, now["momentum"])
    return numbers


def _starting_center(settings: DinoSettings, weights: str) -> Tensor:
    center = load_dino_center(weights) if settings.centering else None
    if center is None:
        return torch.zeros(settings.out_dim)
    if center.numel() != settings.out_dim:
        raise InputError(
            f"the checkpoint's center has {center.numel()} numbers; expected {settings.out_dim}, one for each output "
            "of its head; fetch the checkpoint again, or give the backbone only"
        )
    return center.float().flatten()


def _gradients(state: TrainingState, settings: DinoSettings, device: Device) -> Gradients:
    """Return the function that takes tau_t and views, gives numbers [3] and clipped gradients, and moves the center."""
    teacher, student, center, optimizer = state.teacher, state.parallel, state.center, state.optimizer
    trained = _trained(state.student)

    def losses(temperature: Tensor, views: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        with device.autocast():
            with torch.no_grad():
                targets = teacher(views[:2])  # [2, B, K]
            logits = student(views)  # [V, B, K]
        loss = dino_loss(logits, targets, center, settings.student_temperature, temperature)
        numbers = torch.stack([collectives.mean(loss.detach()), *entropies(targets, center, temperature)])
        return loss, numbers, update_center(center, targets, settings.center_momentum)

    losses_of = compiled(losses) if settings.compile else losses

    def gradients(temperature: Tensor, *views: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        optimizer.zero_grad(set_to_none=True)
        loss, numbers, moved = losses_of(temperature, views)
        if settings.centering:
            center.copy_(moved)
        loss.backward()
        clip_gradients(trained, settings.clip_grad)
        return numbers, [parameter.grad for parameter in trained]

    if device.records_steps and collectives.process_count() == 1:
        return recorded(gradients, lambda: [center])
    return gradients


def _trained(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]
