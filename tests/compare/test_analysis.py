"""The analysis of differences: hand-made cases, a mixed model, simulated coverage and power, verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dainet.compare.analysis import Difference, difference, fold_difference, spread_of, verdict
from dainet.compare.mixed_model import mixed_model_error
from dainet.compare.simulation import Design, Truth, simulate
from dainet.errors import InputError
from tests.helpers.studies import error_rates

FIVE = (20, 20, 20, 20, 19)


def one(design: Design, truth: Truth, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    first, second = simulate(design, truth, 1, seed)
    return [fold[0] for fold in first], [fold[0] for fold in second]


def test_the_estimate_is_the_mean_over_all_patients() -> None:
    first = [np.array([[1.0, 2.0]] * 2), np.array([[3.0, 5.0, 7.0]] * 2)]
    second = [np.zeros((2, 2)), np.zeros((2, 3))]
    assert difference(first, second).estimate == pytest.approx((1 + 2 + 3 + 5 + 7) / 5)


def test_equal_trainings_leave_the_paired_t_test() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(90, 3, (2, 12))
    first, second = (np.repeat(row[None], 3, axis=0) for row in scores)
    result = difference([first], [second])
    expected = stats.ttest_rel(*scores).confidence_interval(0.95)
    assert result.interval(0.95) == pytest.approx((expected.low, expected.high))


def test_equal_patients_leave_the_t_test_over_trainings() -> None:
    """Where patients do not differ, the trainings are the sample: Welch's test, within one fold."""
    random = np.random.default_rng(1)
    trainings = random.normal(90, 1, (2, 6))
    first, second = (np.repeat(row[:, None], 9, axis=1) for row in trainings)
    result = difference([first], [second])
    expected = stats.ttest_ind(*trainings, equal_var=False).confidence_interval(0.95)
    assert result.interval(0.95) == pytest.approx((expected.low, expected.high))


def test_what_folds_differ_by_does_not_count() -> None:
    first, second = one(Design(FIVE, (3, 3)), Truth(), 0)
    before = difference(first, second)
    harder = [fold - 10 * number for number, fold in enumerate(first)], [s - 10 * k for k, s in enumerate(second)]
    after = difference(*harder)
    assert (after.estimate, after.error) == pytest.approx((before.estimate, before.error))


@pytest.mark.parametrize(("folds", "seeds"), [(FIVE, (3, 3)), ((20,), (10, 10))])
@pytest.mark.parametrize("seed", range(3))
def test_a_mixed_model_has_the_same_error(folds: tuple[int, ...], seeds: tuple[int, int], seed: int) -> None:
    first, second = one(Design(folds, seeds), Truth(effect=0.3, trainings=0.4), seed)
    ours, (estimate, error) = difference(first, second), mixed_model_error(first, second)
    assert ours.estimate == pytest.approx(estimate, abs=1e-6)
    assert ours.error == pytest.approx(error, rel=0.01)


def test_with_unequal_seeds_a_mixed_model_is_close() -> None:
    first, second = one(Design(FIVE, (3, 2)), Truth(trainings=0.4), 0)
    assert difference(first, second).error == pytest.approx(mixed_model_error(first, second)[1], rel=0.1)


@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy tails"])
@pytest.mark.parametrize(
    ("folds", "seeds", "truth"),
    [
        (FIVE, (3, 3), {}),
        (FIVE, (3, 2), {}),
        (FIVE, (3, 1), {}),
        (FIVE, (3, 3), {"trainings": 0.1}),
        (FIVE, (3, 3), {"trainings": 0.3, "effect": 0.33}),
        ((4,) * 5, (2, 2), {"patients": 1.6, "luck": 2.1, "trainings": 0.5}),
        ((20,), (10, 10), {"patients": 1.6, "luck": 2.1, "trainings": 0.5}),
    ],
)
def test_the_interval_covers_95_percent(folds: tuple, seeds: tuple, truth: dict, heavy: bool) -> None:
    rates = error_rates(Design(folds, seeds), Truth(heavy=heavy, **truth), 0.3, rounds=10_000)
    assert 0.94 - 0.003 <= rates["coverage"] <= 0.96 + 0.003  # 94 to 96 %, and the noise of 10,000 rounds


@pytest.mark.parametrize(
    (
        "seeds",
        "trainings",
        "error",
        "power",
        "equivalent",
    ),  # docs/claims.md, "What it can find"; to the whole percent there
    [
        ((3, 3), 0.2, 0.10, 91, 83),
        ((3, 2), 0.2, 0.10, 83, 73),
        ((3, 1), 0.2, 0.13, 70, 45),
        ((3, 3), 0.3, 0.13, 71, 50),
    ],
)
def test_power_and_equivalence_are_as_registered(
    seeds: tuple, trainings: float, error: float, power: float, equivalent: float
) -> None:
    design = Design(FIVE, seeds)
    null = error_rates(design, Truth(trainings=trainings), 0.3)
    found = error_rates(design, Truth(trainings=trainings, effect=0.33), 0.3)
    assert null["error"] == pytest.approx(error, abs=0.006)
    assert 100 * found["excludes_zero"] == pytest.approx(power, abs=4)
    assert 100 * null["equivalent"] == pytest.approx(equivalent, abs=4)


def test_folds_alone_after_a_first_wave() -> None:
    random = np.random.default_rng(2)
    first, second = ([random.normal(90, 1, (1, n)) for n in FIVE] for _ in range(2))
    result = fold_difference(first, second)
    means = [a.mean() - b.mean() for a, b in zip(first, second, strict=True)]
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert result.interval(0.95) == pytest.approx((expected.low, expected.high))


def test_a_single_seed_needs_a_spread_to_borrow() -> None:
    first, second = one(Design(FIVE, (3, 1)), Truth(), 0)
    with pytest.raises(InputError):
        difference(first, second)
    pair = one(Design(FIVE, (3, 3)), Truth(), 1)
    assert difference(first, second, spread_of(*pair)).error > 0


def test_a_pooled_spread_is_the_variance_of_trainings() -> None:
    random = np.random.default_rng(3)
    trainings = random.normal(90, 1, (4, 3, 1)) + np.zeros((4, 3, 7))
    spread = spread_of(list(trainings))
    assert spread.training == pytest.approx(trainings[:, :, 0].var(axis=1, ddof=1).mean())
    assert (spread.training_freedom, spread.residual_freedom) == (8, 48)
    assert spread.residual == pytest.approx(0)
    assert spread_of([*trainings, np.zeros((3, 0))]) == spread  # a fold in which nobody has values


def test_other_patients_are_refused() -> None:
    with pytest.raises(InputError):
        difference([np.zeros((3, 5))], [np.zeros((3, 4))])


@pytest.mark.parametrize(
    ("estimate", "error", "margin", "words"),
    [
        (1.0, 0.1, 0.3, "supported"),
        (-1.0, 0.1, 0.3, "contradicted"),
        (0.0, 0.1, 0.3, "equivalent"),
        (0.15, 0.05, 0.3, "supported, equivalent"),
        (-0.15, 0.05, 0.3, "contradicted, equivalent"),
        (0.2, 0.3, 0.3, "inconclusive"),
        (0.0, 0.1, None, "inconclusive"),
        (0.3, 0.0, 0.3, "supported, equivalent"),
        (-0.3, 0.0, 0.3, "contradicted, equivalent"),
        (0.0, 0.0, 0.3, "equivalent"),
    ],
)
def test_verdicts(estimate: float, error: float, margin: float | None, words: str) -> None:
    assert verdict(Difference(estimate, error, 30), margin) == words


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(InputError):
        difference([np.zeros((3, 1))] * 5, [np.zeros((3, 1))] * 5)
    with pytest.raises(InputError):
        spread_of([np.zeros((3, 1))] * 5)
