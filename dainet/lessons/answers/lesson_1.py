"""Exercises of notebook 1: volumes, and leaking slices."""

from __future__ import annotations

import numpy as np

from dainet.data.phantoms.abdomen import make_abdomen
from dainet.data.phantoms.cardiac import make_cardiac_patient
from dainet.lessons.answers.kinds import Exercise, Number

__all__ = ["EXERCISES"]


def _ejection_fraction() -> float:
    heart = make_cardiac_patient(1)
    filled, contracted = (np.count_nonzero(heart.phases[phase][1] == 3) for phase in ("ED", "ES"))
    return 1 - contracted / filled


def _left_in_the_heart() -> float:
    return 1 - _ejection_fraction()


def _liver_ml() -> float:
    abdomen = make_abdomen(1)
    return float(np.count_nonzero(abdomen.label == 6) * np.prod(abdomen.spacing_mm) / 1000)


def _leaking_share() -> float:
    return (8 * (1 - 0.3**2) + 2 * 0.7) / 10


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=_ejection_fraction,
        within=0.01,
        share=True,
        nudge="compare the same structure in both phases",
        hint="count the voxels of label 3 in ED and in ES",
        mistakes={"this share stays in the heart; the question asks for what leaves it": _left_in_the_heart},
    ),
    Number(
        truth=_liver_ml,
        within=10,
        nudge="how large is one voxel?",
        hint="voxels times z * y * x mm is mm^3; 1 ml is 1000 of them",
        mistakes={"these are mm^3; 1 ml is 1000 of them": lambda: 1000 * _liver_ml()},
    ),
    Number(
        truth=_leaking_share,
        within=0.01,
        share=True,
        nudge="how many neighbors has a slice at the end of the stack?",
        hint="an inner slice has two neighbors, each in training with p = 0.7",
    ),
)
