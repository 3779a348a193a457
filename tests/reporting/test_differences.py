"""Differences per seed against the bootstrap of `statistics`, and failed trainings by name."""

import numpy as np
import pandas as pd

from dainet.reporting.differences import difference_table, failed_trainings
from dainet.reporting.statistics import paired_differences, patient_means, seeded_interval


def made_scores(seeds: tuple[int, ...] = (0, 1, 2), failed: tuple[str, int] | None = None) -> pd.DataFrame:
    """Scores of two networks on five patients; `failed` finds no Myo."""
    random = np.random.default_rng(0)
    rows = [
        {"model": model, "seed": seed, "patient": f"patient{patient}", "case_id": f"{patient}", "class": name}
        for model in ("unet", "dual-1111")
        for seed in seeds
        for patient in range(5)
        for name in ("RV", "Myo")
    ]
    scores = pd.DataFrame(rows).assign(policy="strict", labeled_voxels=9)
    scores["dsc"] = 0.8 + 0.1 * random.random(len(scores))
    if failed:
        gone = (scores["model"] == failed[0]) & (scores["seed"] == failed[1]) & (scores["class"] == "Myo")
        scores.loc[gone, "dsc"] = 0.0
    return scores


def numbers(cell: str) -> list[float]:
    return [float(number) for number in cell.replace("(", "").replace(")", "").replace("to", "").split()]


def test_every_seed_and_all_together() -> None:
    scores = made_scores()
    (row,) = difference_table(scores, [("dual-1111", "unet")]).to_dict("records")
    for seed in (0, 1, 2):
        alone = paired_differences(scores[scores["seed"] == seed], "dual-1111", "unet")
        expected = [float(alone[name]) for name in ("difference", "low", "high")]
        np.testing.assert_allclose(numbers(row[f"seed {seed}"]), expected, atol=0.051)
    ours, theirs = (patient_means(scores, name).to_numpy() for name in ("dual-1111", "unet"))
    np.testing.assert_allclose(numbers(row["all seeds"])[0], (ours - theirs).mean(), atol=0.051)
    np.testing.assert_allclose(numbers(row["all seeds"])[1:], seeded_interval(ours, theirs), atol=0.051)
    assert row["failed trainings"] == ""


def test_one_seed_has_no_column_for_all() -> None:
    table = difference_table(made_scores((4,)), [("dual-1111", "unet")])
    assert list(table) == ["comparison", "seed 4", "failed trainings"]


def test_a_failed_training_stands_beside_the_difference_that_it_enters() -> None:
    scores = made_scores(failed=("dual-1111", 1))
    assert failed_trainings(scores).to_dict() == {("dual-1111", 1): "Myo"}
    table = difference_table(scores, [("dual-1111", "unet"), ("unet", "unet")])
    assert [("dual-1111" in cell, "1" in cell, "Myo" in cell) for cell in table["failed trainings"]] == [
        (True, True, True),
        (False, False, False),
    ]


def test_a_class_that_no_volume_holds_is_no_failure() -> None:
    scores = made_scores(failed=("unet", 0))
    scores.loc[scores["class"] == "Myo", "labeled_voxels"] = 0
    assert failed_trainings(scores).empty


def test_without_pairs_the_table_has_its_columns() -> None:
    assert list(difference_table(made_scores(), [])) == ["comparison", "failed trainings"]
