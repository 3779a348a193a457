"""Patients against trainings: components recovered from simulated scores, and draws of fewer trainings."""

import numpy as np
import pytest

from dainet.lessons.evidence.trainings import components, fewer_trainings

TRUTH = {"patients": 5.0, "trainings": 1.0, "luck of a training in a patient": 2.0}


def simulated(random: np.random.Generator, seeds: int, patients: int) -> np.ndarray:
    spread = list(TRUTH.values())
    effects = random.normal(0, spread[0], patients) + random.normal(0, spread[1], (seeds, 1))
    return 80 + effects + random.normal(0, spread[2], (seeds, patients))


def test_the_components_of_a_simulation_are_found() -> None:
    found = components(simulated(np.random.default_rng(0), 400, 400))
    assert found == pytest.approx(TRUTH, rel=0.1)


def test_a_component_is_never_below_zero() -> None:
    same = np.tile(np.random.default_rng(0).normal(80, 5, 20), (10, 1))
    assert components(same)["trainings"] == 0


def test_more_trainings_give_narrower_intervals_and_say_yes_more_often() -> None:
    random = np.random.default_rng(0)
    patients = random.normal(80, 5, 20)
    first, second = (patients + shift + random.normal(0, 1.5, (10, 20)) for shift in (0.8, 0))
    table = fewer_trainings(first, second, (2, 5))
    assert table["half_width"].is_monotonic_decreasing
    assert table["yes"].is_monotonic_increasing


def test_all_trainings_are_a_single_draw() -> None:
    random = np.random.default_rng(0)
    first, second = (80 + random.normal(0, 1.5, (4, 20)) for _ in range(2))
    assert fewer_trainings(first, second, (4,))["yes"].iloc[0] in (0.0, 1.0)
