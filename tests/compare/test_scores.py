"""The scores of a plan: whole waves only, patients and their means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dainet.compare.plan import Plan, read_plan
from dainet.compare.scores import finished_waves, fold_scores, read_scored
from dainet.errors import InputError
from tests.helpers.plans import arrays, measured, scored, write_scores


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
