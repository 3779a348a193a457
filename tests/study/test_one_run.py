"""What one training of each network can show: closed forms compared with simulated pairs of networks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dainet.compare.simulation import Design, Truth, simulate
from dainet.protocol import published_table
from study import one_run

ROUNDS = 20_000
NEAR = Truth()
SMALL = Truth(patients=1.6, luck=2.1, trainings=0.5)


def differences(truth: Truth) -> np.ndarray:
    """Differences [rounds, patients] of one training of each network."""
    [first], [second] = simulate(Design((20,), (1, 1)), truth, ROUNDS)
    return (first - second)[:, 0]


@pytest.mark.parametrize("truth", [NEAR, SMALL], ids=["near", "small"])
def test_equal_networks_differ_as_often_in_simulated_tables(truth: Truth) -> None:
    pairs = differences(truth)
    gaps = pairs.mean(axis=1)
    assert gaps.std() == pytest.approx(one_run.one_run_error(truth), rel=0.02)
    for gap in (0.33, 1.19):
        assert (np.abs(gaps) >= gap).mean() == pytest.approx(one_run.chance_of_gap(gap, truth), abs=0.012)
    p = stats.ttest_1samp(pairs, 0, axis=1).pvalue
    assert (p < 0.05).mean() == pytest.approx(one_run.falsely_significant(truth), abs=0.012)


def test_true_differences_are_found_as_often_in_simulated_tables() -> None:
    gaps = differences(NEAR).mean(axis=1)
    limit = np.quantile(np.abs(gaps), 0.95)  # of equal networks: what a test that knows their spread would use
    for gap in (0.33, 1.19, one_run.smallest_gap(NEAR)):
        assert (np.abs(gaps + gap) > limit).mean() == pytest.approx(one_run.found(gap, NEAR), abs=0.015)
    assert one_run.found(one_run.smallest_gap(NEAR), NEAR) == pytest.approx(0.8, abs=1e-6)


def test_the_table_has_the_differences_of_mean_dsc_that_the_paper_prints() -> None:
    tables = pd.concat([published_table("acdc", name) for name in ("table2", "table3")])
    printed = tables.drop_duplicates("model").set_index("model")["dsc"]
    table = one_run.power_table(SMALL)
    assert len(table) == 4
    for comparison, gap in zip(table["Comparison"], table["Paper"], strict=True):
        first, second = comparison.split(" - ")
        assert f"{printed[first] - printed[second]:+.2f}" == gap
