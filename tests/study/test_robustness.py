"""Differences without their largest patients and per training, compared with hand-made cases."""

import numpy as np
import pytest

from dainet.compare.analysis import difference
from study.robustness import robustness, training_effect_size


def test_one_patient_moves_the_mean_but_neither_median_nor_trimmed_mean() -> None:
    first, second = np.zeros((2, 3, 10)), np.zeros((3, 10))
    first[0] += np.arange(10)
    first[1] = first[0]
    first[1, :, 9] += 1000
    plain, moved = (robustness(scores, second) for scores in first)
    assert plain["median"] == moved["median"] == 4.5
    assert plain["trimmed"] == moved["trimmed"] == pytest.approx(np.arange(2, 8).mean())


def test_the_interval_counts_patients_and_trainings() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(90, 2, (2, 4, 20))
    line = robustness(first, second)
    assert (line["low_t"], line["high_t"]) == pytest.approx(difference([first], [second]).interval())


def test_d_is_that_of_the_paired_differences_where_trainings_agree() -> None:
    scores = np.random.default_rng(0).normal(90, 2, (2, 1, 20))
    first, second = np.repeat(scores, 3, axis=1)
    pairs = (scores[0] - scores[1])[0]
    assert training_effect_size(first, second) == pytest.approx(pairs.mean() / pairs.std(ddof=1))


@pytest.mark.parametrize("seeds", [3, 50])
def test_d_does_not_grow_with_the_number_of_seeds(seeds: int) -> None:
    random = np.random.default_rng(0)
    patients = random.normal(0, 1, 500)
    first = 1 + patients + random.normal(0, 2, (seeds, 500))
    second = random.normal(0, 2, (seeds, 500))
    assert training_effect_size(first, second) == pytest.approx(1 / 3, abs=0.05)  # 1 / sqrt(1 + 4 + 4)
