"""Exercises of notebook 2: pairs of views, the teacher's momentum and the temperature."""

from __future__ import annotations

import torch

from dainet.lessons.answers.kinds import Exercise, Number

__all__ = ["EXERCISES"]


def _first_above_two_nats() -> float:
    logits = torch.linspace(-0.3, 0.3, 13)

    def entropy(temperature: float) -> float:
        p = (logits / temperature).softmax(0)
        return -(p * p.log()).sum().item()

    return next(t for t in (0.01, 0.02, 0.05, 0.1, 0.2) if entropy(t) > 2)


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda: 2 * (2 + 8) - 2,
        nudge="which views does the teacher see?",
        hint="each of the 2 teacher views meets every student view but itself",
        mistakes={"here a view also meets itself": lambda: 2 * (2 + 8)},
    ),
    Number(
        truth=lambda: 0.998,
        within=1e-6,
        nudge="what is the cosine halfway?",
        hint="the cosine has done half of its way from 0.996 to 1",
    ),
    Number(
        truth=_first_above_two_nats,
        nudge="a higher temperature makes the distribution flatter",
        hint="compute -(p * log p).sum() for each",
    ),
)
