"""Exercises of notebook 1: volumes of a heart, scores on two grids, and leaking slices."""

from __future__ import annotations

from functools import cache

import numpy as np

from dainet.data.phantoms.cardiac import make_cardiac_patient
from dainet.lessons.answers.kinds import Exercise, Number, judgment

__all__ = ["EXERCISES"]


@cache
def _left_ventricle() -> tuple[int, int, tuple[float, float, float]]:
    """Voxels of the lessons' patient at ED and at ES, and their edges in mm (z, y, x)."""
    heart = make_cardiac_patient(2)
    filled, contracted = (int(np.count_nonzero(heart.phases[phase][1] == 3)) for phase in ("ED", "ES"))
    return filled, contracted, heart.spacing_mm


def _left_in_the_heart() -> float:
    filled, contracted, _ = _left_ventricle()
    return contracted / filled


def _filled_mm3() -> float:
    filled, _, spacing_mm = _left_ventricle()
    return float(filled * np.prod(spacing_mm))


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda: 1 - _left_in_the_heart(),
        within=0.01,
        share=True,
        nudge="compare the same structure in both phases",
        hint="count the voxels of label 3 in ED and in ES",
        mistakes={"this share stays in the heart; the question asks for what leaves it": _left_in_the_heart},
    ),
    Number(
        truth=lambda: _filled_mm3() / 1000,
        within=2,
        nudge="how large is one voxel?",
        hint="voxels times z * y * x mm is mm^3; 1 ml is 1000 of them",
        mistakes={
            "these are mm^3; 1 ml is 1000 of them": _filled_mm3,
            "these are voxels; how large is one?": lambda: _left_ventricle()[0],
            "these are milliliters of a sheet of 1 mm; a voxel is also deep (z)": lambda: (
                _filled_mm3() / 1000 / _left_ventricle()[2][0]
            ),
        },
    ),
    judgment(
        right="b",
        nudge="which of the two scores contains what resizing costs?",
        hint="what would a perfect network score in A's way, and what in B's?",
        reasons={
            "a": "only B's score contains what resizing costs; look at the row of 128 px",
            "c": "both predictions lose the same, but only B's score pays for it",
        },
    ),
    Number(
        truth=lambda: (8 * (1 - 0.3**2) + 2 * 0.7) / 10,
        within=0.01,
        share=True,
        nudge="how many neighbors has a slice at the end of the stack?",
        hint="an inner slice has two neighbors, each in training with p = 0.7",
        mistakes={
            "this is the share for a shuffle into 7, 1 and 2; here every slice is drawn on its own": lambda: (
                (8 * (1 - 2 / 9 * 1 / 8) + 2 * 7 / 9) / 10
            ),
            "this is right for inner slices; two of the ten have one neighbor only": lambda: 1 - 0.3**2,
            "this is the mean of the shares of single scans; count all test slices together": lambda: 0.901,
            "a slice has two neighbors; one of them in training is enough": lambda: 0.7,
        },
    ),
)
