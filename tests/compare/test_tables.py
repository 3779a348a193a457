"""The tables of a plan: checks, parts, networks and their spread, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dainet.compare.checks import checks_table, convergence_table, validation_difference
from dainet.compare.parts import parts, parts_table
from dainet.compare.plan import Plan
from dainet.compare.report import learning_figure, plan_notes
from dainet.compare.results import analyze
from dainet.compare.scores import Scored, fold_scores
from dainet.compare.tables import networks_table, spread_table, volumes_table
from tests.helpers.plans import arrays, better, ends, measured, printed, scored


def test_the_checks_are_what_they_are_called(plan: Plan, tmp_path: Path) -> None:
    own = scored(plan, tmp_path / "a", {"unet": 90, "random": 91.5, "image": 90})
    row = checks_table(own).iloc[0]
    first, second = (np.concatenate([f.mean(0) for f in fold_scores(own.scores, n)]) for n in ("random", "unet"))
    deltas = first - second
    assert float(row["Median"]) == pytest.approx(np.median(deltas), abs=0.006)
    assert float(row["Trimmed mean (20 %)"]) == pytest.approx(stats.trim_mean(deltas, 0.2), abs=0.006)
    assert float(row["Validation patients"]) == pytest.approx(1.5)
    assert row["Patients of this sign"] == "4 of 4"
    assert row["Trainings of this sign"] == "4 of 4 pairs"
    fresh = deltas[2:].mean()
    assert float(row["Folds after the first"].split()[0]) == pytest.approx(fresh, abs=0.006)


def test_networks_and_their_spread(plan: Plan, tmp_path: Path) -> None:
    own = scored(plan, tmp_path / "a", {"unet": 90, "random": 91, "image": 90})
    table = networks_table(own).set_index("Network")
    assert table.loc["unet", "Trainings"] == "4"
    assert float(table.loc["random", "DSC (%)"]) == pytest.approx(91, abs=0.2)
    assert table.loc["unet", "Surface Dice at 2 mm (%)"] == "50.0"
    spread = spread_table(own).set_index("Network")
    means = [fold.mean(1).var(ddof=1) for fold in fold_scores(own.scores, "unet")]
    assert float(spread.loc["unet", "Standard deviation (points)"]) == pytest.approx(np.sqrt(np.mean(means)), abs=0.006)
    assert spread.loc["image", "Standard deviation (points)"] == ""


def test_the_checks_are_computed_from_the_scores_they_name(plan: Plan) -> None:
    own = measured(plan, movers=0.5)
    row = checks_table(own).iloc[0]
    rest = own.scores[~own.scores["patient"].isin(["23", "24", "25"])]
    for name, scores, column in (("Last epoch", own.scores, "dsc_last_epoch"), ("Without 3 patients", rest, "dsc")):
        result = better(scores, column)
        assert ends(row[name]) == printed(result)
    result = better(own.scores)
    assert float(row["Difference"]) == pytest.approx(result.estimate, abs=0.00501)
    second = own.scores[own.scores["fold"] == 2]
    result = better(second)
    assert ends(row["Folds after the first"]) == printed(result)
    best = own.histories.groupby(["model", "fold", "seed"])["dsc"].max()
    expected = 100 * (best["random"].mean() - best["unet"].mean())
    assert float(row["Validation patients"]) == pytest.approx(expected, abs=0.00501)


def test_a_difference_is_followed_through_the_training(plan: Plan) -> None:
    """Each of four trainings at its best epoch so far; the validation DSC of twenty epochs is drawn by chance."""
    random, lines = np.random.default_rng(3), []
    for model, fold, seed in ((m, f, s) for m in ("unet", "random", "image") for f in (1, 2) for s in (1, 2)):
        dsc = random.uniform(0.2, 0.9, 20)
        lines += [{"model": model, "fold": fold, "seed": seed, "epoch": 1 + i, "dsc": dsc[i]} for i in range(20)]
    histories = pd.DataFrame(lines)
    row = convergence_table(Scored(plan, 2, (), measured(plan).scores, histories)).iloc[0]
    curves = {
        name: np.stack([part["dsc"].to_numpy() for _, part in own.groupby(["fold", "seed"])])
        for name, own in histories.groupby("model")
    }
    gaps = [
        100 * (curves["random"][:, :until].max(1).mean() - curves["unet"][:, :until].max(1).mean())
        for until in (2, 5, 10, 20)
    ]
    assert row["Comparison"] == "random - unet"
    for share, gap in zip((10, 25, 50, 100), gaps, strict=True):
        assert row[f"After {share} % of the steps"] == f"{gap:+.2f} ({100 * gap / gaps[-1]:.0f} %)"
    equal = histories.assign(dsc=0.5)
    assert convergence_table(Scored(plan, 2, (), measured(plan).scores, equal)).iloc[0, 1] == "+0.00"


def test_after_a_first_wave_a_check_with_one_fold_left_has_too_few(plan: Plan, tmp_path: Path) -> None:
    own = scored(plan, tmp_path / "a", {"unet": 90, "random": 91, "image": 90}, waves=1)
    assert checks_table(own).loc[0, "Folds after the first"] == "too few"


@pytest.mark.parametrize(
    ("rule", "title", "expected"),
    [
        ("validation", "Validation patients", "+30.00"),
        ("last", "Validation patients", "+10.00"),
        ("peer-on-test", "Monitored test patients", "+30.00"),
    ],
)
def test_monitored_patients_are_named_and_counted_as_the_rule_of_selection_does(
    plan: Plan, tmp_path: Path, rule: str, title: str, expected: str
) -> None:
    ruled = plan.model_copy(update={"settings": plan.settings | {"segmentation.selection": rule}})
    own = scored(ruled, tmp_path / "a", {"unet": 90, "random": 91, "image": 90})
    dsc = own.histories["model"].map({"unet": 0.5, "random": 0.8, "image": 0.5})
    history = own.histories.assign(
        dsc=dsc.where((own.histories["epoch"] == 1) | (own.histories["model"] != "random"), 0.6)
    )
    found = Scored(ruled, 2, own.trainings, own.scores, history)
    assert checks_table(found).loc[0, title] == expected
    assert f"{title.removesuffix(' patients')} DSC" in [panel.get_ylabel() for panel in learning_figure(found).axes]
    unknown = Scored(ruled, 2, own.trainings, own.scores, history.assign(dsc=np.nan))
    assert checks_table(unknown).loc[0, title] == "-"
    assert convergence_table(unknown).empty


def test_signs_are_counted_of_patients_and_of_pairs_of_trainings(plan: Plan) -> None:
    own = measured(plan)
    worse = own.scores.copy()
    worse.loc[(worse["model"] == "random") & (worse["patient"] == "10"), "dsc"] -= 0.01
    worse.loc[(worse["model"] == "random") & (worse["fold"] == 2) & (worse["seed"] == 2), "dsc"] -= 0.005
    row = checks_table(Scored(plan, 2, (), worse, own.histories)).iloc[0]
    deltas = np.concatenate(
        [a.mean(0) - b.mean(0) for a, b in zip(arrays(worse, "random"), arrays(worse, "unet"), strict=True)]
    )
    assert row["Patients of this sign"] == f"{(np.sign(deltas) == np.sign(deltas.mean())).sum()} of 12"
    assert 0 < (deltas > 0).sum() < 12
    pairs = np.concatenate(
        [a.mean(1) - b.mean(1) for a, b in zip(arrays(worse, "random"), arrays(worse, "unet"), strict=True)]
    )
    assert row["Trainings of this sign"] == f"{(np.sign(pairs) == np.sign(deltas.mean())).sum()} of 4 pairs"
    assert len(set(np.sign(pairs))) == 2


def test_every_network_is_monitored_by_its_own_rule(plan: Plan, tmp_path: Path) -> None:
    row = plan.networks["random"].model_copy(update={"settings": {"segmentation.selection": "last"}})
    ruled = plan.model_copy(update={"networks": {**plan.networks, "random": row}})
    own = scored(ruled, tmp_path / "a", {"unet": 90, "random": 91, "image": 90})
    dsc = own.histories["epoch"].map({1: 0.8, 2: 0.6})
    found = Scored(ruled, 2, own.trainings, own.scores, own.histories.assign(dsc=dsc))
    assert validation_difference(found, plan.comparisons[0]) == pytest.approx(60 - 80)


def test_a_patient_with_many_scans_counts_once_in_the_sign_of_a_training(plan: Plan) -> None:
    own = measured(plan, effect=5)
    many = own.scores[own.scores["patient"] == "10"]
    worse = many.assign(dsc=many["dsc"].where(many["model"] != "random", many["dsc"] - 0.2))
    rest = own.scores[own.scores["patient"] != "10"]
    scores = pd.concat([rest, *[worse] * 30], ignore_index=True)
    row = checks_table(Scored(plan, 2, (), scores, own.histories)).iloc[0]
    assert (row["Difference"][0], row["Trainings of this sign"]) == ("+", "4 of 4 pairs")


def test_parts_are_the_judged_comparisons_of_each_pathology_phase_and_class(plan: Plan) -> None:
    own = measured(plan)
    table = parts_table(list(parts(own)))
    expected = [("group", "Pathology", "DCM"), ("group", "Pathology", "NOR"), ("phase", "Phase", "ED")]
    expected += [("phase", "Phase", "ES"), ("class", "Class", "LV"), ("class", "Class", "RV")]
    assert list(table["Comparison"]) == ["random - unet"] * 6 + ["random - image"] * 6 + ["image - unet"] * 6
    assert list(zip(table["By"], table["Part"], strict=True))[:6] == [part[1:] for part in expected]
    for row, (column, _, name) in zip(table.to_dict("records"), expected, strict=False):
        part = own.scores[own.scores[column] == name]
        assert row["Patients"] == str(part["patient"].nunique())
        assert ends(row["Difference"]) == printed(better(part))


def test_a_part_with_too_few_patients_has_no_number(plan: Plan) -> None:
    own = measured(plan)
    few = own.scores.assign(group=own.scores["patient"].map({"10": "MINF"}).fillna("NOR"))
    table = parts_table(list(parts(Scored(plan, 2, (), few, own.histories)))).set_index("Part")
    assert table.loc["MINF", "Difference"].tolist() == ["too few"] * 3
    assert table.loc["MINF", "Patients"].tolist() == ["1"] * 3


def test_a_network_is_described_by_its_cases(plan: Plan) -> None:
    own = measured(plan)
    scores = own.scores.copy()
    scores.loc[scores.index[:1], ["dsc", "hd95_mm"]] = 0.0, np.nan  # empty: a failure without a distance
    scores.loc[scores.index[1:2], "hd95_mm"] = 20.0  # not beyond the limit
    scores = scores[scores["model"] != "image"]
    table = networks_table(Scored(plan, 2, (), scores, own.histories)).set_index("Network")
    assert list(table.index) == ["unet", "random"]
    for name, row in table.iterrows():
        cases = scores[scores["model"] == name]
        for title, column in (("HD95", "hd95_mm"), ("Surface distance", "assd_mm")):
            low, middle, high = np.nanpercentile(cases[column], [25, 50, 75])
            assert row[f"{title} (mm), median (quartiles)"] == f"{middle:.1f} ({low:.1f} to {high:.1f})"
        assert float(row["Surface Dice at 2 mm (%)"]) == pytest.approx(
            100 * cases["surface_dice_2mm"].mean(), abs=0.0501
        )
        for organ in ("LV", "RV"):
            assert float(row[organ]) == pytest.approx(
                100 * cases.loc[cases["class"] == organ, "dsc"].mean(), abs=0.00501
            )
        means = np.concatenate([fold.mean(1) for fold in arrays(scores, str(name))])
        assert float(row["DSC (%)"]) == pytest.approx(means.mean(), abs=0.00501)
        failed = (cases["hd95_mm"] > 20).sum() + (name == "unet")
        assert row["Failures (HD95 > 20 mm, or empty)"] == f"{failed} of {len(cases)}"
    no_distances = networks_table(Scored(plan, 2, (), scores.assign(hd95_mm=np.nan), own.histories))
    assert set(no_distances["HD95 (mm), median (quartiles)"]) == {""}


def test_volumes_are_compared_with_the_labeled_ones(plan: Plan) -> None:
    own = measured(plan)
    labeled = np.where(np.arange(len(own.scores)) % 5, 200, 0)  # some labels do not show the class
    scores = own.scores.assign(labeled_voxels=labeled, predicted_voxels=(100 * own.scores["dsc"]).round() + 120)
    scores.loc[scores.index[1:4], "predicted_voxels"] = 0
    table = volumes_table(Scored(plan, 2, (), scores, own.histories)).set_index("Network")
    assert list(table.index) == ["unet", "random", "image"]
    for name in table.index:
        for organ in ("LV", "RV"):
            cases = scores[(scores["model"] == name) & (scores["class"] == organ) & (scores["labeled_voxels"] == 200)]
            low, middle, high = np.percentile(cases["predicted_voxels"] / 2 - 100, [25, 50, 75])
            found = table.loc[name, f"{organ}, volume (%), median (quartiles)"]
            assert found == f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"
    assert volumes_table(own).empty


def test_where_all_comparisons_are_exploratory_all_have_parts(plan: Plan) -> None:
    asked = [line.model_copy(update={"role": "exploratory"}) for line in plan.comparisons]
    own = measured(plan.model_copy(update={"comparisons": tuple(asked)}))
    assert {part.comparison.title for part in parts(own)} == {line.title for line in asked}
    judged = {line.title for line in plan.comparisons if line.role != "exploratory"}
    assert {part.comparison.title for part in parts(measured(plan))} == judged != {line.title for line in asked}


@pytest.mark.parametrize(("augment", "noted"), [(True, 1), (False, 0)])
def test_notes_say_where_flips_mix_up_left_and_right(plan: Plan, tmp_path: Path, augment: bool, noted: int) -> None:
    plan = plan.model_copy(update={"settings": {**plan.settings, "segmentation.augment": augment}})
    own = scored(plan, tmp_path / "a", {"unet": 90, "random": 91, "image": 90})
    for classes, count in (({"LV": "left kidney", "001": "right kidney"}, noted), ({}, 0)):
        sided = replace(own, scores=own.scores.replace({"class": classes}))
        assert sum("flipped" in note for note in plan_notes(analyze(sided))) == count


def test_the_spread_of_trainings_has_its_interval_and_its_test(plan: Plan) -> None:
    own = measured(plan)
    table = spread_table(own).set_index("Network")
    variances = {
        name: np.mean([fold.mean(1).var(ddof=1) for fold in arrays(own.scores, name)]) for name in ("unet", "random")
    }
    for name, variance in variances.items():
        row = table.loc[name]
        assert float(row["Standard deviation (points)"]) == pytest.approx(np.sqrt(variance), abs=0.00501)
        assert row["Degrees of freedom"] == "2"
        interval = np.sqrt(2 * variance / np.array([stats.chi2(2).ppf(0.975), stats.chi2(2).ppf(0.025)]))
        assert ends(row["95 % (chi-square)"]) == pytest.approx(tuple(interval), abs=0.00501)
    assert list(table.index) == ["unet", "random", "image", "F test, unet / random"]
    found = table.loc["F test, unet / random", "Standard deviation (points)"].replace(",", "").split()
    ratio = variances["unet"] / variances["random"]
    assert float(found[1]) == pytest.approx(ratio, abs=0.00501)
    tails = stats.f(2, 2).cdf(ratio), stats.f(2, 2).sf(ratio)
    assert float(found[3]) == pytest.approx(2 * min(tails), rel=0.05)
