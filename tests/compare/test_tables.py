"""The tables of a plan: whole waves only, questions in their order, checks by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dainet.compare.analysis import Difference, difference, fold_difference, patient_difference, spread_of
from dainet.compare.checks import checks_table
from dainet.compare.comparisons import compare_networks
from dainet.compare.mixed_model import mixed_model_error
from dainet.compare.parts import parts_table
from dainet.compare.plan import Plan, read_plan
from dainet.compare.questions import joint_verdict, questions_table
from dainet.compare.scores import Scored, finished_waves, fold_scores, read_scored
from dainet.compare.tables import networks_table, spread_table
from dainet.errors import InputError
from tests.compare.test_plan import PLAN, write_plan

COMPARISONS = """
comparisons:
  - {question: first, role: primary, first: random, second: unet, paper: 0.33}
  - {question: second, role: secondary, first: random, second: image}
  - {question: third, role: secondary, first: image, second: unet}
  - {question: fourth, role: exploratory, first: unet, second: image}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    text = PLAN[: PLAN.index("comparisons:")] + COMPARISONS
    return read_plan(write_plan(tmp_path, text))


def write_scores(plan: Plan, folder: Path, levels: dict[str, float], waves: int = 2) -> None:
    """Scores of four test patients with two phases and two classes; a level is a mean DSC in points."""
    random = np.random.default_rng(0)
    for kind in ("scores", "histories"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for training in plan.model_copy(update={"waves": plan.waves[:waves]}).trainings():
        lines = []
        for patient in (each for each, split in plan.split(training.fold).items() if split == "test"):
            dsc = (levels[training.model] + 0.1 * random.standard_normal()) / 100
            for phase in ("ED", "ES"):
                for name, shift in (("LV", 0.01), ("001", -0.01)):
                    line = {"seed": training.seed, "patient": patient, "group": "NOR", "phase": phase, "class": name}
                    line |= {"policy": "strict", "case_id": f"{patient}_{phase}", "dsc": dsc + shift}
                    line |= {"predicted_voxels": 100, "labeled_voxels": 100 + int(patient[7:10]) + len(name)}
                    lines.append(
                        line | {"dsc_last_epoch": dsc, "hd95_mm": 4.0, "assd_mm": 1.0, "surface_dice_2mm": 0.5}
                    )
        table = pd.concat([pd.DataFrame(lines), pd.DataFrame(lines).assign(policy="peer", dsc=0.0)])
        table.assign(**training.labels).to_csv(folder / "scores" / f"{training.name}.csv", index=False)
        history = pd.DataFrame({"epoch": [1, 2], "loss": [1, 1], "dsc": [0.5, levels[training.model] / 100]})
        history.to_csv(folder / "histories" / f"{training.name}.csv", index=False)


def scored(plan: Plan, folder: Path, levels: dict[str, float], waves: int = 2) -> Scored:
    write_scores(plan, folder, levels, waves)
    return read_scored(plan, folder)


def test_only_whole_waves_are_read(plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    with pytest.raises(InputError, match="0 of the 6"):
        read_scored(plan, folder)
    assert finished_waves(plan, folder) == 0
    write_scores(plan, folder, {"unet": 90, "random": 91, "image": 90})
    assert read_scored(plan, folder).waves == 2
    (folder / "scores" / "random_fold2_seed2.csv").unlink()
    left = read_scored(plan, folder)
    assert left.waves == 1
    assert set(left.scores["seed"]) == {1}
    assert set(left.scores["policy"]) == {"strict"}


def test_scores_are_means_over_phases_and_classes_in_points(plan: Plan, tmp_path: Path) -> None:
    own = scored(plan, tmp_path / "study", {"unet": 90, "random": 91, "image": 90})
    folds = fold_scores(own.scores, "unet")
    assert [fold.shape for fold in folds] == [(2, 2), (2, 2)]
    cell = own.scores.query("model == 'unet' and fold == 2 and seed == 2 and patient == 'patient005'")["dsc"]
    assert folds[1][1, 1] == pytest.approx(100 * cell.mean())
    assert set(own.scores["class"]) == {"LV", "001"}, "names stay text"


def test_a_patient_without_a_class_is_left_out_and_other_patients_are_refused(plan: Plan, tmp_path: Path) -> None:
    own = scored(plan, tmp_path / "study", {"unet": 90, "random": 91, "image": 90})
    lacking = own.scores.copy()
    lacking.loc[lacking["patient"] == "patient001", "dsc"] = np.nan
    assert [fold.shape for fold in fold_scores(lacking, "unet")] == [(2, 1), (2, 2)]
    lacking = own.scores[~((own.scores["patient"] == "patient001") & (own.scores["seed"] == 1))]
    with pytest.raises(InputError):
        fold_scores(lacking, "unet")
    with pytest.raises(InputError, match="absent"):
        fold_scores(own.scores, "absent")


def test_scans_that_look_like_one_person_are_one_patient(plan: Plan, tmp_path: Path) -> None:
    for fold in ("one", "two"):
        file = tmp_path / f"{fold}.csv"
        file.write_text(file.read_text().replace("patient002", "patient001_b").replace("patient001,", "patient001_a,"))
    own = scored(read_plan(tmp_path / "plan.yaml"), tmp_path / "study", {"unet": 90, "random": 91, "image": 90})
    assert own.scores["patient"].nunique() == 3
    assert [fold.shape for fold in fold_scores(own.scores, "unet")] == [(2, 1), (2, 2)]


def test_the_questions_are_judged_in_their_order(plan: Plan, tmp_path: Path) -> None:
    table = questions_table(scored(plan, tmp_path / "a", {"unet": 90, "random": 95, "image": 90}))
    assert table["Verdict"].str.split(";").str[0].tolist()[0] == "supported"
    assert table["Verdict"].tolist()[3] == "not judged", "exploratory"
    assert table["Interval contains the paper's"].tolist()[0] == "no"
    assert table["Trainings"].tolist()[:2] == ["4 and 4", "4 and 2"]


def test_after_an_inconclusive_answer_nothing_more_is_judged(plan: Plan, tmp_path: Path) -> None:
    levels = {"unet": 90, "random": 90.1, "image": 80}
    write_scores(plan, tmp_path / "a", levels)
    for name in ("unet_fold1_seed1", "random_fold2_seed2"):
        path = tmp_path / "a" / "scores" / f"{name}.csv"
        table = pd.read_csv(path, dtype={"patient": str, "class": str})
        table.assign(dsc=table["dsc"] - 0.05).to_csv(path, index=False)
    verdicts = questions_table(read_scored(plan, tmp_path / "a"))["Verdict"].tolist()
    assert verdicts[0] == "inconclusive"
    assert verdicts[1:] == ["not judged"] * 3


def test_a_first_wave_alone_has_folds_as_its_sample(plan: Plan, tmp_path: Path) -> None:
    own = scored(plan, tmp_path / "a", {"unet": 90, "random": 91, "image": 90}, waves=1)
    folds = [fold_scores(own.scores, name) for name in ("random", "unet")]
    assert compare_networks(own, plan.comparisons[0]) == fold_difference(*folds)


def test_two_waves_have_the_registered_analysis(plan: Plan, tmp_path: Path) -> None:
    own = scored(plan, tmp_path / "a", {"unet": 90, "random": 91, "image": 90})
    first, second = (fold_scores(own.scores, name) for name in ("random", "unet"))
    assert compare_networks(own, plan.comparisons[0]) == difference(first, second)


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


def measured(plan: Plan, effect: float = 0.3, movers: float = 0.0) -> Scored:
    """Two folds of six patients with other scores in every case, two seeds (of image one), and histories.

    `random` is better by `effect` points, in the last three patients of the second fold by `movers` more.
    """
    random, lines, histories = np.random.default_rng(7), [], []
    for model, seeds in (("unet", 2), ("random", 2), ("image", 1)):
        for fold, seed in ((fold, seed) for fold in (1, 2) for seed in range(1, seeds + 1)):
            labels = {"model": model, "fold": fold, "seed": seed}
            histories += [labels | {"epoch": epoch, "dsc": random.uniform(0.5, 0.9)} for epoch in (1, 2, 3)]
            for patient in range(6):
                gain = (effect + movers * (fold == 2 and patient > 2)) * (model == "random")
                level = 80 + 2 * patient + gain + 0.02 * random.standard_normal()
                for phase, name in ((phase, name) for phase in ("ED", "ES") for name in ("LV", "RV")):
                    dsc, last = (level + 0.02 * random.standard_normal((2,)) + 3 * (name == "LV")) / 100
                    group = ("NOR", "DCM", "")[patient % 3]
                    line = {"patient": f"{fold}{patient}", "group": group, "phase": phase, "class": name, "dsc": dsc}
                    line |= {"dsc_last_epoch": last - 0.1 * (model == "unet"), "hd95_mm": random.uniform(1, 30)}
                    line |= {"assd_mm": random.uniform(1, 9), "surface_dice_2mm": random.uniform(0.2, 0.9)}
                    lines.append(labels | line)
    return Scored(plan, 2, (), pd.DataFrame(lines), pd.DataFrame(histories))


def arrays(scores: pd.DataFrame, model: str, column: str = "dsc") -> list[np.ndarray]:
    own = scores[scores["model"] == model]
    folds = []
    for fold in sorted(set(own["fold"])):
        part = own[own["fold"] == fold]
        rows = [
            [100 * part[(part["seed"] == seed) & (part["patient"] == patient)][column].mean() for patient in patients]
            for patients in [sorted(set(part["patient"]))]
            for seed in sorted(set(part["seed"]))
        ]
        folds.append(np.array(rows))
    return folds


def better(scores: pd.DataFrame, column: str = "dsc") -> Difference:
    return difference(arrays(scores, "random", column), arrays(scores, "unet", column))


def ends(text: str) -> tuple[float, ...]:
    """The numbers of "+0.30 (+0.10 to +0.50)" or "+0.10 to +0.50"."""
    return tuple(float(word) for word in text.replace("(", "").replace(")", "").split() if word != "to")


def printed(result: Difference) -> object:
    return pytest.approx((result.estimate, *result.interval(0.95)), abs=0.00501)


def test_the_numbers_of_a_question_are_those_of_its_analysis(plan: Plan) -> None:
    own = measured(plan, effect=0.33)
    rows = questions_table(own).to_dict("records")
    unet, random, image = (arrays(own.scores, name) for name in ("unet", "random", "image"))
    lent = spread_of(random, unet)
    results = [
        difference(random, unet),
        difference(random, image, lent),
        difference(image, unet, lent),
        difference(unet, image, lent),
    ]
    for row, result in zip(rows, results, strict=True):
        assert ends(row["Difference"] + " " + row["95 %"]) == printed(result)
        assert ends(row["90 %"]) == pytest.approx(result.interval(0.90), abs=0.00501)
        assert float(row["Error"]) == pytest.approx(result.error, abs=0.000501)
        assert float(row["Degrees of freedom"]) == pytest.approx(result.freedom, abs=0.501)
    assert float(rows[0]["Error (mixed model)"]) == pytest.approx(mixed_model_error(random, unet)[1], abs=0.000501)
    assert {row["Error (mixed model)"] for row in rows[1:]} == {"not fitted: one seed"}
    assert [row["Paper"] for row in rows] == ["+0.33", "", "", ""]
    assert [row["Interval contains the paper's"] for row in rows] == ["yes", "", "", ""]
    assert [row["Role"] for row in rows] == ["primary", "secondary", "secondary", "exploratory"]
    assert [row["Trainings"] for row in rows] == ["4 and 4", "4 and 2", "2 and 4", "4 and 2"]
    assert [row["Comparison"] for row in rows][1:3] == ["random - image", "image - unet"]
    assert [row["Verdict"] for row in rows] == ["supported", "supported", "equivalent", "not judged"]


def test_a_difference_that_three_patients_carry_says_so(plan: Plan) -> None:
    found = questions_table(measured(plan, effect=0.0, movers=2.0))["Verdict"][0]
    assert found.startswith("inconclusive")
    assert "without 3 of them: equivalent" in found


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


def test_parts_are_the_judged_comparisons_of_each_pathology_phase_and_class(plan: Plan) -> None:
    own = measured(plan)
    table = parts_table(own)
    parts = [("group", "Pathology", "DCM"), ("group", "Pathology", "NOR"), ("phase", "Phase", "ED")]
    parts += [("phase", "Phase", "ES"), ("class", "Class", "LV"), ("class", "Class", "RV")]
    assert list(table["Comparison"]) == ["random - unet"] * 6 + ["random - image"] * 6 + ["image - unet"] * 6
    assert list(zip(table["By"], table["Part"], strict=True))[:6] == [part[1:] for part in parts]
    for row, (column, _, name) in zip(table.to_dict("records"), parts, strict=False):
        part = own.scores[own.scores[column] == name]
        assert row["Patients"] == str(part["patient"].nunique())
        assert ends(row["Difference"]) == printed(better(part))


def test_a_part_with_too_few_patients_has_no_number(plan: Plan) -> None:
    own = measured(plan)
    few = own.scores.assign(group=own.scores["patient"].map({"10": "MINF"}).fillna("NOR"))
    table = parts_table(Scored(plan, 2, (), few, own.histories)).set_index("Part")
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
        assert ends(row["95 %"]) == pytest.approx(tuple(interval), abs=0.00501)
    assert list(table.index) == ["unet", "random", "image", "F test, unet / random"]
    found = table.loc["F test, unet / random", "Standard deviation (points)"].replace(",", "").split()
    ratio = variances["unet"] / variances["random"]
    assert float(found[1]) == pytest.approx(ratio, abs=0.00501)
    tails = stats.f(2, 2).cdf(ratio), stats.f(2, 2).sf(ratio)
    assert float(found[3]) == pytest.approx(2 * min(tails), rel=0.05)


def test_fold_scores_are_means_in_points_or_in_the_measures_own_unit(plan: Plan) -> None:
    own = measured(plan).scores
    for column, factor in (("dsc", 100), ("dsc_last_epoch", 100), ("hd95_mm", 1)):
        shuffled = own.sample(frac=1, random_state=1)
        for found, expected in zip(fold_scores(shuffled, "random", column), arrays(own, "random", column), strict=True):
            assert found == pytest.approx(expected * factor / 100)


def test_what_is_missing_of_a_first_wave_is_counted_and_named(plan: Plan, tmp_path: Path) -> None:
    write_scores(plan, tmp_path / "study", {"unet": 90, "random": 91, "image": 90}, waves=1)
    for name in ("random_fold2_seed1", "unet_fold2_seed1"):
        (tmp_path / "study" / "scores" / f"{name}.csv").unlink()
    with pytest.raises(InputError, match=r"4 of the 6 .*study; random_fold2_seed1") as refused:
        read_scored(plan, tmp_path / "study")
    assert "small" in str(refused.value)


def test_scores_and_histories_say_which_training_they_are_of(plan: Plan, tmp_path: Path) -> None:
    own = scored(plan, tmp_path / "study", {"unet": 90, "random": 91, "image": 90})
    assert (own.waves, len(own.trainings)) == (2, 10)
    assert own.histories.index.is_unique
    best = own.histories[own.histories["epoch"] == 2].set_index(["model", "fold", "seed"])["dsc"]
    assert best.to_dict() == {
        (each.model, each.fold, each.seed): {"unet": 0.9, "random": 0.91, "image": 0.9}[each.model]
        for each in own.trainings
    }


def test_what_few_patients_carry_is_no_answer_to_go_on_from(plan: Plan) -> None:
    verdicts = questions_table(measured(plan, effect=0.0, movers=2.0))["Verdict"].tolist()
    assert verdicts[0].startswith("inconclusive; carried by few patients")
    assert verdicts[1:] == ["not judged"] * 3


def test_one_training_each_in_one_fold_has_the_interval_of_a_paired_t_test_and_no_verdict(
    plan: Plan, tmp_path: Path
) -> None:
    alone = plan.model_copy(update={"folds": plan.folds[:1], "waves": plan.waves[:1]})
    found = scored(alone, tmp_path / "alone", {"unet": 90, "random": 95, "image": 90}, waves=1)
    first, second = (fold_scores(found.scores, name)[0] for name in ("random", "unet"))
    test = stats.ttest_rel(first[0], second[0])
    result = patient_difference(first, second)
    np.testing.assert_allclose(result.interval(0.95), test.confidence_interval(0.95))
    assert compare_networks(found, alone.comparisons[0]) == result
    assert set(questions_table(found)["Verdict"]) == {"not judged"}


def test_every_primary_question_is_judged(plan: Plan, tmp_path: Path) -> None:
    lines = [line.model_copy(update={"role": "primary"}) for line in plan.comparisons[:3]]
    many = plan.model_copy(update={"comparisons": tuple(lines)})
    found = scored(many, tmp_path / "many", {"unet": 90, "random": 90, "image": 90})
    assert "not judged" not in set(questions_table(found)["Verdict"])


@pytest.mark.parametrize(
    ("words", "joint"),
    [
        (["supported", "supported, equivalent"], "supported"),
        (["supported", "inconclusive"], "inconclusive"),
        (["supported", "equivalent"], "inconclusive"),
        (["inconclusive", "contradicted; carried by few patients"], "contradicted"),
        (["supported", "not judged"], ""),
        ([], ""),
    ],
)
def test_a_claim_of_several_questions_needs_all(words: list[str], joint: str) -> None:
    table = pd.DataFrame({"Role": ["primary"] * len(words), "Verdict": words})
    other = pd.DataFrame({"Role": ["exploratory"], "Verdict": ["not judged"]})
    assert joint_verdict(pd.concat([table, other])) == joint
