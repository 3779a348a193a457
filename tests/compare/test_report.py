"""The tables of a plan: whole waves only, questions in their order, checks by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dainet.compare.analysis import difference, fold_difference
from dainet.compare.plan import Plan, read_plan
from dainet.compare.report import checks_table, compare_networks, networks_table, questions_table, spread_table
from dainet.compare.scores import Scored, fold_scores, read_scored
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
