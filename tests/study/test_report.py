"""The study's verdicts compared with their formulas, and its committed tables with its committed scores."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame, Series
from scipy import stats

from dainet.compare.curves import learning_curves
from dainet.compare.forest import forest_plot
from dainet.places import repository_root
from dainet.reporting.statistics import seeded_interval
from study import charts, report, tables, verdicts
from study.pictures import extreme_cases
from study.plan import PATIENTS, load_more_seeds, load_plan

FOLDER = repository_root() / "figures" / "acdc-study"
PAGE = repository_root() / "docs" / "reproduction.md"
CLAIM = {"claim": "b above a", "better": "b", "worse": "a", "class": "mean", "measure": "dsc", "paper": 1.0}


def network(
    model: str, means: list[float], spread: float = 0.01, patients: int = 20, train_patients: int = 40
) -> DataFrame:
    """One line per seed and patient: DSC around `means[seed]`, HD95 falling with it."""
    random = np.random.default_rng(sum(map(ord, model)))
    lines = []
    for seed, mean in enumerate(means):
        for patient in range(patients):
            dsc = mean + random.normal(0, spread)
            line = {"model": model, "seed": seed, "patient": f"p{patient:02d}", "case_id": f"p{patient:02d}_ED"}
            line |= {"class": "LV", "policy": "strict", "train_patients": train_patients}
            lines.append(line | {"dsc": dsc, "hd95_vox": 10 * (1 - dsc)})
    return pd.DataFrame(lines)


def verdict(better: list[float], worse: list[float], **claim: Any) -> Series:
    scores = pd.concat([network("a", worse), network("b", better)])
    return verdicts.judge(scores, [CLAIM | claim]).iloc[0]


def test_a_clear_difference_supports_or_contradicts_the_claim() -> None:
    assert verdict([0.90, 0.91, 0.89], [0.80, 0.81, 0.79])["verdict"] == "supported"
    assert verdict([0.80, 0.81, 0.79], [0.90, 0.91, 0.89])["verdict"] == "contradicted"


def test_distances_are_better_where_they_are_smaller() -> None:
    line = verdict([0.90, 0.91, 0.89], [0.80, 0.81, 0.79], measure="hd95_vox")
    assert line["verdict"] == "supported"
    assert line["difference"] < 0
    assert line["agreeing"] == 20


def test_seeds_that_differ_as_much_as_the_networks_are_inconclusive_although_every_patient_agrees() -> None:
    line = verdict([0.84, 0.81, 0.87], [0.82, 0.85, 0.79])
    assert line["low"] > 0, "over patients alone it would be significant"
    assert line["p"] < 0.05, "over patients alone it would be significant"
    assert line["low_seeds"] < 0 < line["high_seeds"]
    assert line["verdict"] == "inconclusive"


def test_two_seeds_are_not_judged() -> None:
    assert verdict([0.9, 0.9], [0.8, 0.8, 0.8])["verdict"] == "not run"


def test_p_is_wilcoxons_with_holms_correction() -> None:
    scores = pd.concat([network("a", [0.80] * 3), network("b", [0.802] * 3), network("c", [0.81] * 3)])
    claims = [CLAIM, CLAIM | {"better": "c"}, CLAIM | {"better": "missing"}]
    table = verdicts.judge(scores, claims)
    values = {name: 100 * part.groupby("patient")["dsc"].mean() for name, part in scores.groupby("model")}
    raw = [stats.wilcoxon(values[name] - values["a"]).pvalue for name in ("b", "c")]
    first, second = sorted(raw)
    holm = {first: 2 * first, second: max(2 * first, second)}
    assert list(table["p"][:2]) == pytest.approx([min(1, holm[p]) for p in raw])
    assert table["verdict"].iloc[2] == "not run"


def test_the_difference_and_the_patients_that_agree_with_it() -> None:
    line = verdict([0.82] * 3, [0.80] * 3)
    scores = pd.concat([network("a", [0.80] * 3), network("b", [0.82] * 3)])
    wide = 100 * scores.groupby(["patient", "model"])["dsc"].mean().unstack()
    difference = wide["b"] - wide["a"]
    assert line["agreeing"] == (difference > 0).sum()
    assert line["difference"] == pytest.approx(difference.mean())


def test_the_interval_over_patients_and_seeds_holds_the_truth_about_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(0), 0
    for _ in range(50):
        first, second = (random.normal(0, 1, (8, 1)) + random.normal(0, 1, (8, 20)) for _ in range(2))
        low, high = seeded_interval(first, second)
        held += low < 0 < high
    assert 43 <= held <= 50


def test_seeds_alone_widen_the_interval() -> None:
    patients = np.random.default_rng(0).normal(80, 5, (1, 20))
    low, high = seeded_interval(np.repeat(patients + 1, 3, axis=0), np.repeat(patients, 3, axis=0))
    assert low == pytest.approx(1)
    assert high == pytest.approx(1)
    low, high = seeded_interval(patients + np.array([[0], [1], [2]]), np.repeat(patients, 3, axis=0))
    assert low < 0.5
    assert high > 1.5


def test_cost_claim_needs_both_counts() -> None:
    table = pd.DataFrame({"Parameters (M)": [1, 2, 2], "GFLOP per image": [1, 2, 0.5]}, index=["a", "b", "c"])
    found = [verdicts.cost_verdict(table, *pair) for pair in (("a", "b"), ("b", "a"), ("a", "c"))]
    assert found == ["supported", "contradicted", "inconclusive"]


def test_regimes_compare_where_both_ran() -> None:
    parts = [network("unet", [0.8] * 3, train_patients=n) for n in (5, 10)] + [
        network("dual-1111", [0.9] * 3, train_patients=5)
    ]
    table = verdicts.regimes(pd.concat(parts))
    assert list(table["train_patients"]) == [5]
    assert table["difference"].item() == pytest.approx(10, abs=1)


def test_regimes_have_the_means_and_deviations_of_both_networks() -> None:
    scores = pd.concat([network("unet", [0.80, 0.84, 0.85]), network("dual-1111", [0.90, 0.91])])
    line = verdicts.regimes(scores).iloc[0]
    seeds = {name: 100 * part.groupby("seed")["dsc"].mean() for name, part in scores.groupby("model")}
    assert (line["train_patients"], line["seeds"]) == (40, 2)
    for role, name in (("first", "dual-1111"), ("second", "unet")):
        assert line[f"{role}_mean"] == pytest.approx(seeds[name].mean())
        assert line[f"{role}_std"] == pytest.approx(seeds[name].std(ddof=1))
    assert line["difference"] == pytest.approx(seeds["dual-1111"].mean() - seeds["unet"].mean())
    assert line["low_seeds"] < line["difference"] < line["high_seeds"]
    assert line["low_t"] < line["median"] < line["high_t"], "two seeds are enough for the other ways"
    assert "median" not in verdicts.regimes(pd.concat([network("unet", [0.8] * 3), network("dual-1111", [0.9])]))


def test_all_seeds_compare_the_claims_and_each_of_their_networks_with_the_unet() -> None:
    pairs = [(claim["better"], claim["worse"]) for claim in verdicts.ten_seed_comparisons()]
    others = ("dual-1111-random", "dual-1111-other-patient", "unet-wide")
    assert pairs[:4] == [("dual-1111", name) for name in (*others[:2], "unet", others[2])]
    assert pairs[4:] == [(name, "unet") for name in others]


def test_a_claim_has_the_means_and_deviations_of_both_networks() -> None:
    scores = pd.concat([network("a", [0.80, 0.84, 0.85]), network("b", [0.90, 0.91, 0.93, 0.95])])
    line = verdicts.judge(scores, [CLAIM]).iloc[0]
    assert (line["seeds"], line["patients"], line["paper"]) == (3, 20, 1.0)
    for role, name in (("better", "b"), ("worse", "a")):
        seeds = 100 * scores[scores["model"] == name].groupby("seed")["dsc"].mean()
        assert line[f"{role}_mean"] == pytest.approx(seeds.mean())
        assert line[f"{role}_std"] == pytest.approx(seeds.std(ddof=1))
    assert line["low_seeds"] < line["low"] < line["difference"] < line["high"] < line["high_seeds"]


def test_a_single_seed_has_no_deviation_in_the_table() -> None:
    parts = pd.concat([network(name, [0.8]) for name in ("unet", "dual-1111")])
    row = tables.regimes_table(verdicts.regimes(parts)).iloc[0]
    assert row["Seeds"] == "1"
    assert "±" not in row["unet DSC (%)"]
    assert "nan" not in "".join(row)


def test_p_is_named_for_what_it_ignores_and_a_badly_trained_control_is_marked() -> None:
    scores = pd.concat([network("a", [0.9] * 3), network("dual-1111-constant", [0.8] * 3)])
    claims = [CLAIM | {"better": "a", "worse": worse} for worse in ("dual-1111-constant", "missing")]
    table = tables.claims_table(verdicts.judge(scores, claims))
    assert [name for name in table if name.startswith("p ")] == ["p (patients only, Holm)"]
    assert list(table["p (patients only, Holm)"]) == ["< 0.001", ""]
    assert list(table["Verdict"]) == ["supported†", "not run"]
    assert len(tables.robustness_table(verdicts.judge(scores, claims).assign(validation=0.5))) == 1


def test_the_verdicts_of_the_rule_are_the_registered_ones() -> None:
    """As printed on the day of the study; docs/claims.md says what the words were then."""
    registered = {
        "table_paper": ["supported", "inconclusive"] * 3,
        "table_controls": ["supported"] + ["inconclusive"] * 5,
        "table_more_seeds": ["inconclusive", "inconclusive", "supported", "inconclusive"],
    }
    for name, words in registered.items():
        assert list(pd.read_csv(FOLDER / f"{name}.csv")["Verdict"].str.rstrip("†")) == words


def test_validation_scores_are_those_at_the_epoch_that_was_chosen() -> None:
    plan = load_plan() + load_more_seeds()
    found = report.read_validation(FOLDER, plan)
    assert len(found) == len(plan)
    for training, dsc in zip(plan, found["dsc"], strict=True):
        record = json.loads((FOLDER / "records" / f"{training.name}.json").read_text(encoding="utf-8"))
        assert dsc == pytest.approx(100 * record["selection"]["dsc"], abs=1e-4), training.name


def test_a_study_that_has_only_begun_has_the_tables_that_its_scores_allow(tmp_path: Path) -> None:
    for kind in ("scores", "histories"):
        (tmp_path / kind).mkdir()
        shutil.copy(FOLDER / kind / "unet_40patients_seed0.csv", tmp_path / kind)
    printed = report.study_tables(tmp_path)
    assert list(printed["table_controls"]["Verdict"].str.rstrip("†")) == ["not run"] * 6
    assert "unet" in set(printed["table_models"]["Method"])
    assert printed["table_robustness"].empty


def test_extreme_cases_are_chosen_by_score() -> None:
    scores = network("dual-1111", [0.8] * 3).assign(dsc=lambda t: t["patient"].str[1:].astype(int) / 20)
    assert extreme_cases(scores, "dual-1111") == {"best": "p19_ED", "median": "p09_ED", "worst": "p00_ED"}


def test_tables_go_between_their_marks_and_nowhere_else() -> None:
    text = "before\n<!-- t -->\nold\n<!-- /t -->\nafter\n"
    filled = report.fill_tables(text, {"t": pd.DataFrame({"A": ["1"]})})
    assert filled == "before\n<!-- t -->\n| A   |\n|:----|\n| 1   |\n<!-- /t -->\nafter\n"
    assert report.fill_tables(filled, {"t": pd.DataFrame({"A": ["1"]})}) == filled
    with pytest.raises(ValueError, match="no place for other"):
        report.fill_tables(text, {"other": pd.DataFrame()})


def test_every_claim_compares_trainings_of_the_plan() -> None:
    models = {training.model for training in load_plan() if training.patients == PATIENTS}
    for family in verdicts.load_claims().values():
        for claim in family:
            assert {claim["better"], claim["worse"]} <= models


def test_charts_draw_what_has_run() -> None:
    scores = pd.concat([network("a", [0.80, 0.81, 0.79]), network("b", [0.9] * 3)])
    families = {"claims": verdicts.judge(scores, [CLAIM, CLAIM | {"better": "missing"}])}
    panels = forest_plot(families).axes
    assert len(panels) == 1
    assert len(panels[0].get_yticks()) == 1
    assert "b - a" in str(forest_plot(families).get_label())
    assert len(charts.regime_plot(scores, ("a", "b")).axes[0].lines) == 4


def test_learning_curves_are_means_with_bands_from_lowest_to_highest_next_to_the_first_network() -> None:
    history = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "dsc": [0.1, 0.2]})
    better = [history.assign(dsc=values) for values in ([0.3, 0.4], [0.5, 0.8], [0.4, 0.9])]
    panels = learning_curves({"unet": [history], "dual": better}).axes
    assert [panel.get_title() for panel in panels] == ["unet", "dual", "", ""]
    gray, own = panels[3].lines
    assert np.asarray(gray.get_ydata()).tolist() == [0.1, 0.2]
    assert np.asarray(own.get_ydata()).tolist() == pytest.approx([0.4, 0.7])
    band = np.asarray(panels[3].collections[1].get_paths()[0].vertices)
    assert {(x, round(y, 6)) for x, y in band} == {(1, 0.3), (1, 0.5), (2, 0.4), (2, 0.9)}


def test_the_committed_tables_are_those_of_the_committed_scores() -> None:
    text = PAGE.read_text(encoding="utf-8")
    printed = report.study_tables(FOLDER)
    assert report.fill_tables(text, printed | report.next_tables(FOLDER)) == text, "run `make results` and commit"
    for name, table in printed.items():
        stored = pd.read_csv(FOLDER / f"{name}.csv", dtype=str, keep_default_na=False)
        pd.testing.assert_frame_equal(stored, table.fillna("").reset_index(drop=True))


def test_every_committed_training_is_of_the_plan_with_all_its_test_patients_and_a_record() -> None:
    names = {training.name: training for training in load_plan() + load_more_seeds()}
    found = [path.stem for path in (FOLDER / "scores").glob("*.csv")]
    assert set(found) <= set(names)
    for name in found:
        scores = pd.read_csv(FOLDER / "scores" / f"{name}.csv")
        assert scores["patient"].nunique() == 20
        assert scores["case_id"].nunique() == 40
        assert set(scores["model"]) == {names[name].model}
        assert set(scores["seed"]) == {names[name].seed}
        assert (FOLDER / "records" / f"{name}.json").is_file()
        assert (FOLDER / "histories" / f"{name}.csv").is_file()
