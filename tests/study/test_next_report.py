"""The reports of the next studies, from simulated scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from dainet.compare.plan import read_plan
from dainet.compare.scores import read_scored
from study.folds import PLANS
from study.next_report import plan_tables
from study.overview import gains_of, overview_figure, rows_of
from study.rehearsal import simulate_scores


@pytest.mark.parametrize("name", ["near-paper", "chaos"])
def test_every_table_and_the_figure_can_be_drawn_before_the_first_training(name: str, tmp_path: Path) -> None:
    plan = read_plan(PLANS / f"{name}.yaml")
    simulate_scores(plan, tmp_path)
    scored = read_scored(plan, tmp_path)
    assert (scored.waves, len(scored.trainings)) == (len(plan.waves), 50)
    tables = plan_tables(scored)
    assert set(tables) >= {"table_questions", "table_checks", "table_networks", "table_spread"}
    assert ("table_hearts" in tables) == (name == "near-paper")
    assert len(tables["table_questions"]) == len(plan.comparisons)
    assert set(scored.scores["patient"]) == {p for fold in range(1, 6) for p in plan.split(fold)}
    figure = overview_figure(rows_of(scored), gains_of(scored), plan.margin, "simulated")
    assert len(figure.axes) == 2
    assert len(figure.axes[0].get_yticks()) == len(plan.comparisons)


@pytest.mark.parametrize("name", ["acdc-baselines", "acdc-baselines-smoke"])
def test_the_competitors_stand_beside_the_papers_rows(name: str, tmp_path: Path) -> None:
    plan = read_plan(PLANS / f"{name}.yaml")
    simulate_scores(plan, tmp_path)
    scored = read_scored(plan, tmp_path)
    tables = plan_tables(scored)
    ours = tables["table_published"].query("By == 'here'")["Method"]
    assert set(ours.str.split(" ").str[0]) == set(plan.networks)
    judged = tables["table_questions"]["Verdict"] != "not judged"
    assert list(judged) == [line.role == "primary" for line in plan.comparisons]
    assert len(gains_of(scored)) == (name == "acdc-baselines")
    overview_figure(rows_of(scored), gains_of(scored), plan.margin)
