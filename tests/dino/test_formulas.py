"""DINO's formulas compared with the authors' code, rewritten here, and with lightly."""

from __future__ import annotations

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from lightly.loss import DINOLoss
from torch import Tensor, nn
from torch.nn import functional

from dainet.dino.formulas import (
    clip_gradients,
    collapse,
    cosine_schedule,
    dino_loss,
    entropies,
    freeze_last_layer,
    teacher_temperature,
    update_center,
    update_teacher,
)
from dainet.dino.network import DinoHead
from dainet.settings import DinoSettings


def logits(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def authors_loss(student: Tensor, teacher: Tensor, center: Tensor, tau_s: float, tau_t: float) -> tuple[Tensor, Tensor]:
    """Loss and next center as in
    https://github.com/facebookresearch/dino/blob/7c446df5b9f45747937fb0d72314eb9f7b66930a/main_dino.py#L363-L416
    """
    student_views, teacher_views = list(student / tau_s), list(functional.softmax((teacher - center) / tau_t, dim=-1))
    total, terms = torch.zeros(()), 0
    for i, q in enumerate(teacher_views):
        for j, s in enumerate(student_views):
            if i != j:
                total = total + torch.sum(-q * functional.log_softmax(s, dim=-1), dim=-1).mean()
                terms += 1
    batch_center = teacher.flatten(0, 1).sum(dim=0) / (len(teacher) * teacher.shape[1])
    return total / terms, center * 0.9 + batch_center * (1 - 0.9)


@pytest.mark.parametrize("views", [2, 3, 10])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("out_dim", [2, 33])
def test_loss_and_center_are_the_authors(views: int, batch: int, out_dim: int) -> None:
    student, teacher = logits(views, batch, out_dim), logits(2, batch, out_dim, seed=1)
    center = logits(out_dim, seed=2)
    loss, next_center = authors_loss(student, teacher, center, 0.1, 0.07)
    torch.testing.assert_close(dino_loss(student, teacher, center, 0.1, 0.07), loss)
    torch.testing.assert_close(update_center(center, teacher, 0.9), next_center)


def test_one_teacher_view_is_compared_with_every_other_view() -> None:
    student, teacher, center = logits(3, 4, 7), logits(1, 4, 7, seed=1), torch.zeros(7)
    loss, _ = authors_loss(student, teacher, center, 0.1, 0.07)
    torch.testing.assert_close(dino_loss(student, teacher, center, 0.1, 0.07), loss)


def test_loss_is_lightlys_over_several_steps() -> None:
    """lightly takes lists of views, a temperature per call, and moves its center inside forward."""
    theirs = DINOLoss(output_dim=17, student_temp=0.1, center_momentum=0.8)
    center = torch.zeros(17)
    for step in range(4):
        student, teacher = logits(4, 6, 17, seed=step), logits(2, 6, 17, seed=10 + step)
        ours = dino_loss(student, teacher, center, 0.1, 0.04 + 0.01 * step)
        torch.testing.assert_close(ours, theirs(list(teacher), list(student), teacher_temp=0.04 + 0.01 * step))
        center = update_center(center, teacher, 0.8)
        torch.testing.assert_close(center, theirs.center.flatten())


def test_two_views_without_centering_are_equations_1_and_2() -> None:
    student, teacher = logits(2, 3, 5).double(), logits(2, 3, 5, seed=1).double()
    expected = []
    for image in range(3):
        p_s = [[math.exp(x / 0.1) for x in view[image].tolist()] for view in student]
        p_t = [[math.exp(x / 0.04) for x in view[image].tolist()] for view in teacher]
        p_s, p_t = ([[x / sum(view) for x in view] for view in p] for p in (p_s, p_t))  # eq. 1
        one = -sum(t * math.log(s) for t, s in zip(p_t[0], p_s[1], strict=True)) / 2
        two = -sum(t * math.log(s) for t, s in zip(p_t[1], p_s[0], strict=True)) / 2
        expected.append(one + two)  # eq. 2
    found = dino_loss(student, teacher, torch.zeros(5), 0.1, 0.04)
    assert found.item() == pytest.approx(sum(expected) / 3, rel=1e-5)


@pytest.mark.parametrize(("views", "global_views"), [(1, 1), (2, 0), (2, 3)])
def test_loss_needs_a_pair(views: int, global_views: int) -> None:
    with pytest.raises(ValueError, match=f"{views} student.*{global_views} teacher"):
        dino_loss(logits(views, 2, 3), logits(global_views, 2, 3), torch.zeros(3), 0.1, 0.04)


def authors_schedule(base: float, final: float, epochs: int, steps: int, warmup_epochs: int) -> np.ndarray:
    """https://github.com/facebookresearch/dino/blob/7c446df5b9f45747937fb0d72314eb9f7b66930a/utils.py#L187-L198"""
    line = np.linspace(0, base, warmup_epochs * steps) if warmup_epochs else np.array([])
    i = np.arange(epochs * steps - warmup_epochs * steps)
    return np.concatenate([line, final + 0.5 * (base - final) * (1 + np.cos(np.pi * i / len(i)))])


@pytest.mark.parametrize(("base", "final"), [(1e-4, 1e-6), (0.04, 0.4), (0.996, 1.0)])
@pytest.mark.parametrize(("epochs", "steps", "warmup_epochs"), [(1, 1, 0), (5, 7, 2), (3, 4, 0), (800, 2, 10)])
def test_schedule_is_the_authors(base: float, final: float, epochs: int, steps: int, warmup_epochs: int) -> None:
    found = cosine_schedule(base, final, epochs, steps, warmup_epochs)
    np.testing.assert_allclose(found, authors_schedule(base, final, epochs, steps, warmup_epochs), rtol=1e-12)


def test_schedule_that_only_warms_up_and_one_that_cannot() -> None:
    assert cosine_schedule(1.0, 0.0, 2, 2, warmup_epochs=2) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    with pytest.raises(ValueError, match=r"10 .*3 epochs.*dino.warmup_epochs"):
        cosine_schedule(1.0, 0.0, 3, 2, warmup_epochs=10)


@pytest.mark.parametrize("warmup", [0, 1, 4])
def test_teacher_temperature_is_the_authors(warmup: int) -> None:
    names = ("warmup_teacher_temperature", "teacher_temperature", "warmup_teacher_temperature_epochs")
    settings = DinoSettings.model_validate(dict(zip(names, (0.02, 0.07, warmup), strict=True)))
    expected = np.concatenate([np.linspace(0.02, 0.07, warmup), np.full(6 - warmup, 0.07)])
    np.testing.assert_allclose([teacher_temperature(settings, epoch) for epoch in range(6)], expected)


def test_each_gradient_is_clipped_by_itself() -> None:
    long, short, none = (nn.Parameter(torch.zeros(4)) for _ in range(3))
    long.grad, short.grad = torch.full((4,), 5.0), torch.full((4,), 0.5)
    clip_gradients([long, short, none], 3.0)
    torch.testing.assert_close(long.grad, torch.full((4,), 1.5))  # length 10 -> 3
    torch.testing.assert_close(short.grad, torch.full((4,), 0.5))
    assert none.grad is None


def test_frozen_last_layer_has_no_gradients() -> None:
    head = DinoHead(4, 5, norm_last_layer=False)
    head(logits(2, 4)).sum().backward()
    freeze_last_layer(head)
    assert all(parameter.grad is None for parameter in head.last_layer.parameters())
    assert all(parameter.grad is not None for parameter in head.mlp.parameters())


def test_teacher_follows_equation_3_in_parameters_only() -> None:
    student, teacher = (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for _ in range(2))
    student.get_buffer("1.running_mean").add_(1)
    before = copy.deepcopy(teacher)
    update_teacher(student, teacher, 0.9)
    for s, t, old in zip(student.parameters(), teacher.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(t, 0.9 * old + 0.1 * s)
    assert torch.equal(teacher.get_buffer("1.running_mean"), before.get_buffer("1.running_mean"))


def test_entropies_of_known_outputs() -> None:
    flat = torch.zeros(2, 4, 8)
    assert [value.item() for value in entropies(flat, torch.zeros(8), 0.04)] == pytest.approx([math.log(8)] * 2)
    one_each = 10 * torch.eye(8)[:4].expand(2, 4, 8)  # four images, four different certain outputs
    assert [v.item() for v in entropies(one_each, torch.zeros(8), 0.04)] == pytest.approx([0, math.log(4)], abs=1e-6)
    same = 10 * torch.eye(8)[:1].expand(2, 4, 8)
    assert [v.item() for v in entropies(same, torch.zeros(8), 0.04)] == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("teacher_entropy", "batch_entropy", "name"),
    [
        (6.92, 6.93, "uniform"),
        (0.01, 0.02, "constant"),
        (3.0, 3.01, "constant"),
        (4.0, 4.14, "constant"),  # less than 5 % of what is left up to ln 1024 = 6.931
        (4.0, 4.16, "none"),
        (2.0, 4.5, "none"),
        (6.5, 6.9, "none"),
        (6.8, 6.85, "none"),  # a fresh head after a few epochs
    ],
)
def test_collapse_is_named_by_the_last_epoch(teacher_entropy: float, batch_entropy: float, name: str) -> None:
    history = pd.DataFrame({"teacher_entropy": [4.0, teacher_entropy], "batch_entropy": [5.0, batch_entropy]})
    assert collapse(history, 1024) == name


def test_an_empty_history_has_not_collapsed() -> None:
    assert collapse(pd.DataFrame(columns=["teacher_entropy", "batch_entropy"]), 1024) == "none"
