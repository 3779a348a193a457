"""One function under two names: what the simulations of the placebo find, and that they can find a fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dainet.compare.analysis import Difference, difference, patient_difference, verdict
from dainet.compare.scores import fold_scores, read_scored
from dainet.compare.simulation import Design, Truth
from dainet.places import repository_root
from study import placebo
from study.placebo import CASES, rates, sequence_rates, share
from study.placebo_files import placebo_plan, verdicts_of
from study.placebo_report import placebo_figure, placebo_table
from study.rehearsal import EQUAL, simulate_scores

ROUNDS = 800  # three standard errors of a share of 5 % are 2.3 points, of one of 80 % 4.2


@pytest.mark.parametrize("case", [CASES[0], CASES[4], CASES[9]], ids=lambda case: case.title)
def test_claims_are_rare_and_gains_and_equivalence_are_found_as_often_as_promised(case: placebo.Case) -> None:
    found = rates(case, ROUNDS)
    assert 0.02 < found["same"] < 0.08
    assert 0.02 < found["average"] < 0.08
    for name in ("equivalent", "planted", "found_0.33", "found_1"):
        assert found[name] == pytest.approx(found[f"promised_{name}"], abs=0.06), name


def test_an_analysis_of_patients_alone_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def patients_alone(first: list[np.ndarray], second: list[np.ndarray], _: None) -> Difference:
        return patient_difference(*(network[0].mean(-2, keepdims=True) for network in (first, second)))

    monkeypatch.setattr(placebo, "difference", patients_alone)
    assert rates(CASES[5], 200)["same"] > 0.2


def test_failures_make_no_false_claim_but_hide_equivalence() -> None:
    for case in CASES[-2:]:
        found = rates(case, ROUNDS)
        assert found["same"] < 0.06
        assert found["equivalent"] < 0.5 < found["promised_equivalent"]


def test_equivalence_lets_later_questions_claim_what_is_not_there() -> None:
    """Each question errs in about one study in twenty, but "equivalent" opens the next, so the claims add up."""
    found = sequence_rates(2000)
    assert found["judged_1"] == 1 > found["judged_2"] > found["judged_3"] > 0.6
    assert found["any_1"] == found["differs_1"] < 0.08
    assert found["any_3"] > found["any_2"] > 0.07


def test_a_share_has_the_exact_binomial_interval() -> None:
    assert share(0.0, 20) == pytest.approx((0, 1 - 0.025 ** (1 / 20)))


def test_files_give_the_verdict_of_the_scores_that_were_drawn(tmp_path: Path) -> None:
    plan = placebo_plan(CASES[5], tmp_path)
    simulate_scores(plan, tmp_path, EQUAL, " 0")
    scores = read_scored(plan, tmp_path).scores
    [[word]] = verdicts_of(plan, EQUAL, 1)
    assert word.split(";")[0] == verdict(
        difference(fold_scores(scores, "first"), fold_scores(scores, "second")), plan.margin
    )
    better = Truth(effect=5.0, patients=0.44)
    assert [words[0] for words in verdicts_of(plan, better, 1)] == ["supported"]


@pytest.mark.parametrize("seeds", [1, 2])
def test_scores_that_do_not_scatter_are_not_judged(seeds: int, tmp_path: Path) -> None:
    """As of two networks that find nothing, or of one network with equal seeds under two names."""
    plan = placebo_plan(placebo.Case(Design((3, 3), (seeds, seeds))), tmp_path)
    assert verdicts_of(plan, Truth(patients=0, luck=0, trainings=0), 1) == [("not judged",)]


def test_every_design_has_a_row_and_a_label() -> None:
    titles = [case.title for case in CASES]
    assert len(set(titles)) == len(titles)
    found = {title: rates(case, 20) for title, case in zip(titles, CASES, strict=True) if case in CASES[2:6]}
    figure = placebo_figure(found, {CASES[5].title: {"same": 0.5, "equivalent": 0.0, "planted": 1.0}}, 20, 2)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(reversed(found))
    assert list(placebo_table(found, 20)["Design"]) == list(found)


@pytest.mark.slow
def test_the_committed_shares_are_those_of_the_simulation() -> None:
    stored = pd.read_csv(repository_root() / "figures" / "placebo" / "table_placebo.csv", dtype=str)
    found = {case.title: rates(case, 10_000) for case in CASES}
    pd.testing.assert_frame_equal(stored, placebo_table(found, 10_000))
