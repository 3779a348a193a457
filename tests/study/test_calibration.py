"""The simulated rates of the rule: errors without a difference, findings with one, and the committed table."""

import numpy as np
import pandas as pd
import pytest

from dainet.compare.power import observed_truth
from dainet.compare.simulation import Design, Truth, simulate
from dainet.places import repository_root
from study import report
from study.calibration import rule_rates

FOLDER = repository_root() / "figures" / "acdc-study"


def test_equal_networks_seldom_get_a_verdict_but_often_an_interval_over_patients_without_zero() -> None:
    rates = rule_rates(3, 20, Truth(patients=0, luck=1.4, trainings=1.0), (), rounds=40)
    assert rates["rule"] <= 0.25 < rates["patients"]
    assert rates["t"] <= 0.2
    assert rule_rates(3, 20, Truth(patients=0, luck=1.4, trainings=0), (), rounds=40)["patients"] <= 0.25


def test_large_differences_are_found_more_often_than_small_ones() -> None:
    rates = rule_rates(3, 20, Truth(patients=1, luck=2, trainings=0.5), (0.33, 2.0, 10.0), rounds=40)
    assert rates["0.33"] < rates["2.0"] < rates["10.0"] == 1


@pytest.mark.parametrize("truth", [Truth(patients=1.6, luck=2, trainings=0.5), Truth(patients=0, luck=1, trainings=0)])
def test_what_was_simulated_is_observed_again(truth: Truth) -> None:
    [first], [second] = simulate(Design((4000,), (60, 60)), truth, rounds=1)
    seen = observed_truth([first[0]], [second[0]])
    assert (seen.patients, seen.luck) == pytest.approx((truth.patients, truth.luck), abs=0.1)
    assert seen.trainings == pytest.approx(truth.trainings, abs=0.1)


def test_luck_is_corrected_for_both_means_that_were_taken_off() -> None:
    """With three seeds and five patients, plain residuals would be short by sqrt(2 / 3 * 4 / 5)."""
    random = np.random.default_rng(0)
    lucks = [observed_truth(*random.normal(0, 2, (2, 1, 3, 5))).luck ** 2 for _ in range(2000)]
    assert np.mean(lucks) == pytest.approx(4, rel=0.03)


@pytest.mark.slow
def test_the_committed_rates_are_those_of_the_committed_scores() -> None:
    stored = pd.read_csv(FOLDER / "table_calibration.csv", dtype=str)
    pd.testing.assert_frame_equal(stored, report.calibration(FOLDER))
