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
from dainet.compare.questions import answers, joint_verdict, questions_table
from dainet.compare.scores import Scored, fold_scores, read_scored
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


def test_every_primary_question_is_judged(plan: Plan, tmp_path: Path) -> None:
    lines = [line.model_copy(update={"role": "primary"}) for line in plan.comparisons[:3]]
    many = plan.model_copy(update={"comparisons": tuple(lines)})
    found = scored(many, tmp_path / "many", {"unet": 90, "random": 90, "image": 90})
    assert "not judged" not in set(table_of(found)["Verdict"])


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
