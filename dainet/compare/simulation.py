"""Simulated scores of two networks in a design of folds, seeds and patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Design", "Truth", "simulate"]

_LEVEL, _LEVELS_DIFFER = 90.0, 3.0  # points of DSC; patients of both networks alike, so no difference depends on them


@dataclass(frozen=True)
class Design:
    """Patients of every fold, and trainings per fold (seeds) of the first and of the second network."""

    folds: tuple[int, ...]
    seeds: tuple[int, int]


@dataclass(frozen=True)
class Truth:
    """Standard deviations in points, and the true mean difference.

    `patients`: how much the networks' true difference varies between patients. `luck`: of a training in a patient.
    `trainings`: between trainings of a network, the same for all patients. `heavy`: patients and luck follow
    Student's t with four degrees of freedom instead of a normal distribution.
    """

    effect: float = 0.0
    patients: float = 0.44
    luck: float = 0.56
    trainings: float = 0.2
    heavy: bool = False


def simulate(design: Design, truth: Truth, rounds: int, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draw scores [rounds, seeds, patients] of both networks for every fold."""
    random = np.random.default_rng(seed)
    draw: Callable[[tuple[int, ...]], np.ndarray] = random.standard_normal
    if truth.heavy:
        draw = lambda shape: random.standard_t(4, shape) / np.sqrt(2)  # noqa: E731  variance 4 / (4 - 2)
    networks: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    for patients in design.folds:
        level = _LEVEL + _LEVELS_DIFFER * draw((rounds, 1, patients))
        own = truth.effect + truth.patients * draw((rounds, 1, patients))
        for network, seeds, mean in zip(networks, design.seeds, (level + own, level), strict=True):
            shift = truth.trainings * random.standard_normal((rounds, seeds, 1))
            network.append(mean + shift + truth.luck * draw((rounds, seeds, patients)))
    return networks
