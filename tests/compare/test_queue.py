"""The queue: what is missing runs once, and leaves scores, histories and records."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dainet import pipeline
from dainet.cache.verify import verify_folder
from dainet.compare.plan import Plan, read_plan
from dainet.compare.queue import run_queue
from tests.compare.test_plan import write_plan
from tests.helpers.samples import tiny_overrides


@pytest.fixture
def where(h5_source: Path) -> dict[str, Any]:
    values = tiny_overrides(h5_source)
    del values["segmentation.epochs"]  # the plan says how many
    return values


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return read_plan(write_plan(tmp_path))


def test_the_queue_runs_what_is_missing_and_leaves_scores_histories_and_records(
    plan: Plan, where: dict[str, Any], tmp_path: Path
) -> None:
    trainings, folder = plan.trainings()[:4], tmp_path / "study"
    assert run_queue(trainings[:3], where, folder) == 3
    assert run_queue(trainings, where, folder) == 1
    names = {training.name for training in trainings}
    for kind, ending in (("scores", "csv"), ("histories", "csv"), ("records", "json")):
        assert {path.name for path in (folder / kind).iterdir()} == {f"{name}.{ending}" for name in names}
    scores = pd.read_csv(folder / "scores" / "image_fold1_seed1.csv")
    assert set(scores["model"]) == {"image"}
    assert set(scores["fold"]) == set(scores["seed"]) == {1}
    assert set(scores["patient"]) == {"patient001", "patient002"}
    assert {"group", "phase", "class", "hd95_mm", "surface_dice_2mm", "labeled_voxels"} <= set(scores.columns)
    record = json.loads((folder / "records" / "image_fold1_seed1.json").read_text())
    assert record["settings"]["attention"]["control"] == "image"
    assert str(tmp_path) not in json.dumps(record)
    assert record["selection"]["epochs_run"] == 2
    assert verify_folder(folder) == (8, [], [], [])


def test_the_dsc_of_the_last_epoch_is_that_of_a_training_that_keeps_it(
    plan: Plan, where: dict[str, Any], tmp_path: Path
) -> None:
    training = plan.trainings()[0]
    run_queue([training], where, tmp_path / "study")
    scores = pd.read_csv(tmp_path / "study" / "scores" / f"{training.name}.csv").query("policy == 'strict'")
    last = pipeline.train(training.settings(where | {"segmentation.selection": "last"}), "unet", 1)
    expected = last.cases.query("policy == 'strict'").sort_values(["case_id", "class"])["dsc"]
    found = scores.sort_values(["case_id", "class"])["dsc_last_epoch"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_two_queues_share_the_work(plan: Plan, where: dict[str, Any], tmp_path: Path) -> None:
    trainings, folder = plan.trainings()[:4], tmp_path / "study"
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        counts = list(pool.map(run_queue, [trainings] * 2, [where] * 2, [folder] * 2))
    assert sum(counts) == 4
    assert len(list((folder / "scores").iterdir())) == 4


def test_nothing_begins_that_would_not_end_in_time(plan: Plan, where: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "study"
    assert run_queue(plan.trainings(), where, folder, seconds=0.001) == 1, "the first one tells how long they take"
    assert run_queue(plan.trainings(), where, folder, seconds=0) == 0
