"""The reports of the next studies, from simulated scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dainet.compare.analysis import Difference
from dainet.compare.plan import read_plan
from dainet.compare.results import analyze
from dainet.compare.scores import fold_scores, read_scored
from dainet.errors import InputError
from study.folds import PLANS
from study.next_report import (
    common_figure,
    is_ready,
    open_questions,
    pooled_spread,
    study_tables,
    write_plan_report,
)
from study.overview import Row, gains_of, overview_figure, planned_rows, rows_of
from study.rehearsal import simulate_scores


@pytest.mark.parametrize("name", ["near-paper", "chaos"])
def test_every_table_and_the_figure_can_be_drawn_before_the_first_training(name: str, tmp_path: Path) -> None:
    plan = read_plan(PLANS / f"{name}.yaml")
    simulate_scores(plan, tmp_path)
    scored = read_scored(plan, tmp_path)
    assert (scored.waves, len(scored.trainings)) == (len(plan.waves), 50)
    tables = study_tables(analyze(scored))
    assert set(tables) >= {"table_questions", "table_checks", "table_networks", "table_spread"}
    assert ("table_hearts" in tables) == (name == "near-paper")
    assert ("table_ejection_fraction" in tables) == (name == "near-paper")
    assert ("table_volumes" in tables) == (name == "chaos")
    assert len(tables["table_questions"]) == len(plan.comparisons)
    assert set(scored.scores["patient"]) == {p for fold in range(1, 6) for p in plan.split(fold)}
    figure = overview_figure(rows_of(scored), gains_of(scored), plan.margin, "simulated")
    assert len(figure.axes) == 2
    assert len(figure.axes[0].get_yticks()) == len(plan.comparisons)


def test_chaos_is_read_after_every_wave_and_the_near_paper_study_after_its_last(tmp_path: Path) -> None:
    for name, read in (("near-paper", False), ("chaos", True)):
        plan, folder = read_plan(PLANS / f"{name}.yaml"), tmp_path / name
        assert not is_ready(plan, folder)
        simulate_scores(plan.model_copy(update={"waves": plan.waves[:1]}), folder)
        assert is_ready(plan, folder) == read
    scored = write_plan_report(plan, folder, folder)
    assert (scored.waves, len(scored.trainings)) == (1, 25)
    early = json.loads((folder / "early_reads.json").read_text())
    assert early["waves"] == [1]
    assert early["files"].keys() == {f"scores/{training.name}.csv" for training in scored.trainings}
    with pytest.raises(InputError):
        pooled_spread(scored)
    assert "CHAOS, abdominal MR: 1 of 2 waves, 25 trainings" in (folder / "table_questions.md").read_text()
    assert not (folder / "table_spread.md").exists()  # one training of each network in a fold
    simulate_scores(plan, folder)
    assert is_ready(plan, folder)
    scored = read_scored(plan, folder)
    folds = [fold for name in ("dual-1111", "unet") for fold in fold_scores(scored.scores, name)]
    spread = np.sqrt(np.mean([fold.mean(1).var(ddof=1) for fold in folds]))
    assert f"{spread:.2f} points (standard deviation, 10 degrees" in pooled_spread(scored)


@pytest.mark.parametrize("name", ["acdc-baselines", "acdc-baselines-smoke"])
def test_the_competitors_stand_beside_the_papers_rows(name: str, tmp_path: Path) -> None:
    plan = read_plan(PLANS / f"{name}.yaml")
    simulate_scores(plan, tmp_path)
    scored = read_scored(plan, tmp_path)
    tables = study_tables(analyze(scored))
    ours = tables["table_published"].query("By == 'here'")["Method"]
    assert set(ours.str.split(" ").str[0]) == set(plan.networks)
    judged = tables["table_questions"]["Verdict"] != "not judged"
    assert list(judged) == [line.role == "primary" for line in plan.comparisons]
    assert len(gains_of(scored)) == (name == "acdc-baselines")
    overview_figure(rows_of(scored), gains_of(scored), plan.margin)


def test_a_study_without_a_whole_wave_has_its_questions_and_rows_without_answers() -> None:
    plan = read_plan(PLANS / "near-paper.yaml")
    rows = planned_rows(plan)
    assert [(row.patients, row.trainings) for row in rows[:3]] == [(99, 30), (99, 25), (99, 20)]
    assert set(open_questions(plan)["Verdict"]) == {"not known yet"}
    done = Row("first", "a - b", Difference(1.0, 0.5, 10), 20, 20, 0.33)
    figure = common_figure(([done], []), [plan])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["not known yet"] * len(plan.comparisons)


def test_a_study_with_a_whole_wave_stands_in_the_common_figure(tmp_path: Path) -> None:
    plan = read_plan(PLANS / "acdc-baselines-smoke.yaml")
    simulate_scores(plan, tmp_path)
    panel = common_figure(([], []), [read_scored(plan, tmp_path)]).axes[0]
    assert len(panel.get_yticks()) == len(plan.comparisons)
    assert not panel.texts
