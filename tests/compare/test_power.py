"""Power, smallest gain and what is needed, compared with simulated studies and with closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dainet.compare.analysis import spread_of
from dainet.compare.power import (
    _mean_squares,
    equivalence_power,
    observed_truth,
    patients_needed,
    power,
    published_spreads,
    seeds_needed,
    smallest_gain,
)
from dainet.compare.simulation import Design, Truth, simulate
from dainet.errors import InputError
from dainet.places import repository_root
from tests.helpers.studies import error_rates

FIVE = (20, 20, 20, 20, 19)
ROUNDS = 4000
NOISE = 4 * np.sqrt(0.25 / ROUNDS)  # four standard errors of a simulated share
SMALL = Truth(patients=1.6, luck=2.1, trainings=0.5)


@pytest.mark.parametrize(
    ("folds", "seeds", "truth"),
    [
        (FIVE, (3, 3), Truth()),
        (FIVE, (3, 2), Truth(heavy=True)),
        (FIVE, (3, 1), Truth()),  # which borrows a spread
        ((20,), (3, 3), Truth()),  # few degrees of freedom
        ((20,), (2, 2), Truth(trainings=0.3)),
        ((4,) * 5, (2, 2), SMALL),
    ],
)
def test_simulated_studies_find_a_gain_and_equivalence_as_often_as_promised(
    folds: tuple[int, ...], seeds: tuple[int, int], truth: Truth
) -> None:
    design = Design(folds, seeds)
    gain = smallest_gain(design, truth)
    found = error_rates(design, replace(truth, effect=gain), gain, ROUNDS)["excludes_zero"]
    equal = error_rates(design, truth, gain, ROUNDS)["equivalent"]
    heavy = 0.02 if truth.heavy else 0.0  # the formula assumes normal scores
    assert found == pytest.approx(0.8, abs=NOISE + heavy)
    assert equal == pytest.approx(equivalence_power(design, truth, gain), abs=NOISE + heavy)


def test_patients_alone_give_the_noncentral_t_of_the_paired_test() -> None:
    """Where trainings do not scatter, the difference is a paired t test, whose power is textbook."""
    truth = Truth(patients=1.0, luck=1e-6, trainings=0.0)
    expected = stats.nct.sf(stats.t.ppf(0.975, 19), 19, 0.7 * np.sqrt(20))
    assert power(Design((20,), (3, 3)), truth, 0.7) == pytest.approx(expected, abs=0.003)


def test_one_wave_has_the_power_of_a_t_test_over_folds() -> None:
    truth = Truth(patients=0.5, luck=0.5, trainings=0.3)
    error = np.sqrt((0.5**2 / 20 + 2 * 0.5**2 / 20 + 2 * 0.3**2) / 5)
    expected = stats.nct.sf(stats.t.ppf(0.975, 4), 4, 1 / error)
    assert power(Design((20,) * 5, (1, 1)), truth, 1.0) == pytest.approx(expected, abs=0.003)


def test_one_training_in_one_fold_finds_nothing_because_it_is_not_judged() -> None:
    design = Design((20,), (1, 1))
    assert power(design, Truth(), 100.0) == equivalence_power(design, Truth(), 100.0) == 0
    assert smallest_gain(design, Truth()) == float("inf")
    assert seeds_needed(design, Truth(), 2.0) == 2


def test_what_is_needed_is_just_enough() -> None:
    design, gain = Design((20,) * 5, (3, 3)), 0.25
    seeds, patients = seeds_needed(design, Truth(), gain), patients_needed(design, Truth(), gain)
    assert seeds is not None
    assert patients is not None
    assert power(Design(design.folds, (seeds,) * 2), Truth(), gain) >= 0.8
    assert power(Design(design.folds, (seeds - 1,) * 2), Truth(), gain) < 0.8
    assert patients % 5 == 0
    assert power(Design((patients // 5,) * 5, (3, 3)), Truth(), gain) >= 0.8
    assert power(Design((patients // 5 - 1,) * 5, (3, 3)), Truth(), gain) < 0.8


def test_neither_seeds_nor_patients_alone_reach_beyond_their_limit() -> None:
    design = Design((20,), (3, 3))
    assert seeds_needed(design, Truth(patients=1.0, luck=0.5, trainings=0.1), 0.3) is None
    assert patients_needed(design, Truth(patients=0.1, luck=0.5, trainings=0.5), 0.3) is None


def test_a_gain_of_zero_is_found_at_half_of_the_error_of_both_sides() -> None:
    assert power(Design(FIVE, (3, 3)), Truth(), 0.0) == pytest.approx(0.025, abs=0.005)


def test_the_spread_of_folds_is_the_one_that_was_simulated() -> None:
    truth = Truth(patients=1.6, luck=2.0, trainings=0.5)
    first, second = simulate(Design((800,) * 5, (20, 20)), truth, rounds=1)
    seen = observed_truth([fold[0] for fold in first], [fold[0] for fold in second])
    assert (seen.patients, seen.luck, seen.trainings) == pytest.approx((1.6, 2.0, 0.5), abs=0.1)


def test_luck_that_few_patients_leave_in_the_means_of_trainings_is_taken_off() -> None:
    """Of four patients, the mean of a training varies by as much from luck as from training."""
    truth = Truth(patients=5.0, luck=6.0, trainings=3.0)
    first, second = simulate(Design((4,) * 400, (3, 2)), truth, rounds=1)
    seen = observed_truth([fold[0] for fold in first], [fold[0] for fold in second])
    assert (seen.patients, seen.luck, seen.trainings) == pytest.approx((5.0, 6.0, 3.0), abs=0.4)


def test_a_single_training_counts_with_the_freedom_of_the_pair_that_lends_its_spread() -> None:
    first, second = ([fold[0] for fold in network] for network in simulate(Design(FIVE, (3, 3)), Truth(), rounds=1))
    own, lent = spread_of(first), spread_of(first, second)
    trainings, residuals = zip(*((s.training_freedom, s.residual_freedom) for s in (own, lent)), strict=True)
    assert _mean_squares(Design(FIVE, (3, 1)), Truth())[1] == [sum(FIVE) - len(FIVE), *trainings, *residuals]


def test_single_trainings_have_no_spread() -> None:
    scores = np.random.default_rng(0).normal(90, 1, (2, 1, 20))
    with pytest.raises(InputError, match="two trainings"):
        observed_truth([scores[0]], [scores[1]])


def test_the_published_spreads_are_those_of_the_committed_scores_and_of_the_registered_text() -> None:
    networks = []
    for name in ("dual-1111", "unet"):
        paths = sorted((repository_root() / "figures/acdc-study/scores").glob(f"{name}_40patients_seed*.csv"))
        tables = [pd.read_csv(path).query("policy == 'strict'").groupby("patient")["dsc"].mean() for path in paths]
        networks.append([100 * np.array(tables)])
    seen, stored = observed_truth(*networks), published_spreads()["small"]
    assert networks[0][0].shape == (10, 20)
    assert (stored.patients, stored.luck, stored.trainings) == pytest.approx(
        (seen.patients, seen.luck, seen.trainings), abs=0.006
    )
    registered = (repository_root() / "docs" / "claims.md").read_text(encoding="utf-8")
    near = published_spreads()["near-paper"]
    assert f"taken as {near.patients} (patients differ) and\n2 x {near.luck} (luck" in registered
