"""Exercises of notebook 2: pairs of views, the teacher's momentum, the temperature, and a short run to judge."""

from __future__ import annotations

import torch

from dainet.lessons.answers.kinds import Exercise, Number, judgment

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
        truth=lambda: 200 / 3,  # where the cosine is -1/2
        within=2.5,
        nudge="over how many steps does the teacher average at a momentum of 0.999?",
        hint="plot the values over np.arange(1000) / 10, with a horizontal line at 0.999",
        mistakes={
            "this is the iteration; the question asks for the epoch": lambda: 667,
            "this would be right for a straight line from 0.996 to 1": lambda: 75,
        },
    ),
    Number(
        truth=_first_above_two_nats,
        nudge="a higher temperature makes the distribution flatter",
        hint="compute -(p * log p).sum() for each",
    ),
    judgment(
        right="b",
        nudge="what did the healthy training of section 2.5 look like after fifty steps?",
        hint="single outputs near ln K are how a new head begins; what comes later decides",
        reasons={
            "a": "a new head is near ln K at first in a healthy training too; ten epochs may be too few",
            "c": "a constant collapse is also below ln K; without the entropy of the mean output this says nothing",
        },
    ),
)
