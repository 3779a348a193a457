"""DINO in miniature: a small network learns without labels in a second, healthy or with half of the recipe missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from dainet.dino.formulas import dino_loss, entropies, update_center, update_teacher
from dainet.reporting.charts import label_axes, new_figure
from dainet.reporting.style import in_style

__all__ = ["CLASSES", "STUDENT_TEMPERATURE", "collapse_figure", "miniature_dino", "miniatures"]

CLASSES = 32  # K, the outputs
STUDENT_TEMPERATURE = 0.1
_SIDE, _WIDTH, _BATCH = 12, 128, 64  # px, channels, slices
_TEACHER_MOMENTUM, _CENTER_MOMENTUM = 0.97, 0.9  # a short training needs a teacher that follows within 30 steps
_HIDDEN_SHARE, _NOISE = 0.5, 0.1  # of a view: pixels set to zero, and noise added to all


def miniatures(images: np.ndarray) -> Tensor:
    """Shrink gray images [N, H, W] in about [0, 1] to vectors [N, 144] of 12 x 12 px."""
    slices = torch.from_numpy(np.asarray(images, np.float32))[:, None]
    return F.adaptive_avg_pool2d(slices, _SIDE).flatten(1)


def miniature_dino(
    vectors: Tensor, centering: bool = True, teacher_temperature: float = 0.04, steps: int = 400, seed: int = 0
) -> pd.DataFrame:
    """Train a student of three layers against its own moving average, with DINO's loss, center and teacher update.

    A view of a vector hides half of its pixels and adds noise, so that two views agree only in what they show.

    Args:
        vectors: [N, D], with values of about 0 to 1.
        centering: False leaves the center at zero.
        teacher_temperature: tau_t; `STUDENT_TEMPERATURE` means no sharpening.
        steps: updates, each on 64 vectors.
        seed: of weights, batches and views.

    Returns:
        One row per step: teacher_entropy and batch_entropy, in nats, as `dainet.dino.formulas.entropies`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = _network(vectors.shape[1])
        teacher = deepcopy(student).requires_grad_(False)
        optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
        center, history = torch.zeros(CLASSES), []
        for _ in range(steps):
            batch = vectors[torch.randint(len(vectors), (_BATCH,))]
            views = torch.stack([_view(batch), _view(batch)])
            target = teacher(views)
            history.append([value.item() for value in entropies(target, center, teacher_temperature)])
            loss = dino_loss(student(views), target, center, STUDENT_TEMPERATURE, teacher_temperature)
            if centering:
                center = update_center(center, target, _CENTER_MOMENTUM)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            update_teacher(student, teacher, _TEACHER_MOMENTUM)
    return pd.DataFrame(history, columns=["teacher_entropy", "batch_entropy"])


@in_style
def collapse_figure(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Plot both entropies over the steps, one panel per training of `miniature_dino`; a dotted line marks ln K."""
    alt = f"Teacher and batch entropy over the steps of a small DINO training: {'; '.join(histories)}"
    figure = new_figure(3.6 * len(histories), 3.2, alt)
    panels = figure.subplots(1, len(histories), sharey=True, squeeze=False)[0]
    for panel, (name, history) in zip(panels, histories.items(), strict=True):
        panel.plot(history["batch_entropy"], color="#d55e00", linewidth=4, label="mean output (batch entropy)")
        panel.plot(history["teacher_entropy"], color="#009e73", linewidth=1.4, label="single output (teacher entropy)")
        panel.axhline(math.log(CLASSES), color="#555555", linestyle=":", label=f"ln K = {math.log(CLASSES):.2f}")
        panel.set_title(name, fontsize=10)
        label_axes(panel, "Step", "Entropy in nats" if panel is panels[0] else "")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _network(inputs: int) -> nn.Module:
    """Build three layers, which at first give all images nearly the same output, as DINO's fresh head does."""
    first, second = nn.Linear(inputs, _WIDTH), nn.Linear(_WIDTH, _WIDTH)
    return nn.Sequential(first, nn.GELU(), second, nn.GELU(), nn.Linear(_WIDTH, CLASSES))


def _view(batch: Tensor) -> Tensor:
    return batch * (torch.rand(batch.shape) > _HIDDEN_SHARE) + _NOISE * torch.randn(batch.shape)
