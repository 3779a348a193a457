"""The questions of a plan: in their order, with the numbers of their analysis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dainet.compare.analysis import difference, fold_difference, patient_difference, spread_of
from dainet.compare.comparisons import compare_networks
from dainet.compare.mixed_model import mixed_model_error
from dainet.compare.plan import Plan
from dainet.compare.questions import HINT, answers, comparisons_table, joint_word, questions_table
from dainet.compare.report import plan_notes
from dainet.compare.results import analyze
from dainet.compare.scores import Scored, fold_scores, read_scored
from dainet.reporting.statistics import folds_interval
from tests.helpers.plans import arrays, ends, measured, printed, scored, write_scores


def table_of(found: Scored) -> pd.DataFrame:
    return questions_table(found, answers(found))


def test_the_questions_are_judged_in_their_order(plan: Plan, tmp_path: Path) -> None:
    table = table_of(scored(plan, tmp_path / "a", {"unet": 90, "random": 95, "image": 90}))
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
    verdicts = table_of(read_scored(plan, tmp_path / "a"))["Verdict"].tolist()
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


def test_the_numbers_of_a_question_are_those_of_its_analysis(plan: Plan) -> None:
    own = measured(plan, effect=0.33)
    rows = table_of(own).to_dict("records")
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
    found = table_of(measured(plan, effect=0.0, movers=2.0))["Verdict"][0]
    assert found.startswith("inconclusive")
    assert "without the 3 that move the difference most: equivalent" in found


def test_what_few_patients_carry_is_no_answer_to_go_on_from(plan: Plan) -> None:
    verdicts = table_of(measured(plan, effect=0.0, movers=2.0))["Verdict"].tolist()
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
    assert set(table_of(found)["Verdict"]) == {"not judged"}


def test_one_training_each_in_one_fold_is_not_judged_because_another_network_has_two(
    plan: Plan, tmp_path: Path
) -> None:
    waves = (plan.waves[0], plan.waves[1].model_copy(update={"networks": ("image",)}))
    alone = plan.model_copy(update={"folds": plan.folds[:1], "waves": waves})
    found = scored(alone, tmp_path / "alone", {"unet": 90, "random": 95, "image": 90})
    assert found.waves == 2
    assert answers(found)[0].verdict == "not judged"
    assert "patients alone" in plan_notes(analyze(found))[1]


def test_a_difference_after_an_equivalence_is_a_hint(plan: Plan) -> None:
    """Of equal networks the first question is answered "equivalent" as a rule, and so opens the second one."""
    _, second, first, _ = plan.comparisons
    turned = (first.model_copy(update={"role": "primary"}), second.model_copy(update={"role": "secondary"}))
    own = measured(plan, effect=0.33)
    found = answers(Scored(plan.model_copy(update={"comparisons": turned}), 2, (), own.scores, own.histories))
    assert found[0].verdict == "equivalent"
    assert found[1].verdict == f"supported; {HINT}"
    assert HINT not in answers(own)[1].verdict, "after a difference it stands by itself"


def test_only_a_claim_of_several_questions_has_a_joint_word(plan: Plan) -> None:
    own = measured(plan, effect=0.33)
    many = plan.model_copy(
        update={"comparisons": tuple(x.model_copy(update={"role": "primary"}) for x in plan.comparisons)}
    )
    notes = [plan_notes(analyze(Scored(each, 2, (), own.scores, own.histories))) for each in (plan, many)]
    assert len(notes[0]) + 1 == len(notes[1])
    assert notes[1][-1].endswith(": inconclusive.")


def test_patients_are_those_of_both_networks_whatever_each_lacks(plan: Plan) -> None:
    """Each network has no value for another patient of the first fold, so that their numbers are the same."""
    own = measured(plan, effect=0.33)
    scores = own.scores.copy()
    scores.loc[(scores["model"] == "random") & (scores["patient"] == "10") & (scores["seed"] == 1), "dsc"] = np.nan
    scores.loc[(scores["model"] == "unet") & (scores["patient"] == "15"), "dsc"] = np.nan
    rest = own.scores[~own.scores["patient"].isin(["10", "15"])]
    expected = difference(arrays(rest, "random"), arrays(rest, "unet"))
    found = Scored(plan, 2, (), scores, own.histories)
    result = compare_networks(found, plan.comparisons[0])
    assert (result.estimate, result.error) == pytest.approx((expected.estimate, expected.error))
    row = comparisons_table(found, answers(found)).iloc[0]
    assert float(row["First (%)"]) == pytest.approx(
        np.concatenate([a.mean(0) for a in arrays(rest, "random")]).mean(), abs=0.006
    )


def test_after_a_first_wave_the_means_are_of_folds_as_the_difference_is(plan: Plan, tmp_path: Path) -> None:
    own = scored(plan, tmp_path / "a", {"unet": 90, "random": 91, "image": 90}, waves=1)
    scores = own.scores[own.scores["patient"] != own.scores["patient"].iloc[0]].copy()
    scores.loc[(scores["fold"] == 1) & (scores["model"] == "random"), "dsc"] -= 0.1  # in the smaller fold
    row = comparisons_table(found := Scored(plan, 1, own.trainings, scores, own.histories), answers(found)).iloc[0]
    assert float(row["First (%)"]) - float(row["Second (%)"]) == pytest.approx(
        ends(row["Difference (95 %)"])[0], abs=0.011
    )


def test_the_interval_of_the_first_study_stands_beside(plan: Plan) -> None:
    own = measured(plan, effect=0.33)
    row = table_of(own).iloc[0]
    expected = folds_interval(arrays(own.scores, "random"), arrays(own.scores, "unet"))
    assert ends(row["95 % (bootstrap)"]) == pytest.approx(expected, abs=0.00501)


def test_every_primary_question_is_judged(plan: Plan, tmp_path: Path) -> None:
    lines = [line.model_copy(update={"role": "primary"}) for line in plan.comparisons[:3]]
    many = plan.model_copy(update={"comparisons": tuple(lines)})
    found = scored(many, tmp_path / "many", {"unet": 90, "random": 90, "image": 90})
    assert "not judged" not in set(table_of(found)["Verdict"])


def test_scores_that_do_not_scatter_have_no_interval_and_open_no_question(plan: Plan, tmp_path: Path) -> None:
    own = scored(plan, tmp_path / "a", {"unet": 90, "random": 95, "image": 90})
    flat = own.scores.assign(dsc=own.scores["dsc"].where(own.scores["model"] == "image", 0.0))
    table = table_of(Scored(plan, 2, own.trainings, flat, own.histories))
    assert "nan" not in table.to_string().lower()
    assert table["95 %"].tolist()[0] == "-"
    assert table["Verdict"].tolist() == ["not judged"] * 4
    assert not table["Interval contains the paper's"].tolist()[0]


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
    assert joint_word(words) == joint
