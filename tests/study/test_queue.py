"""The study's plan, and the queue that runs it."""

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dainet.cache.verify import verify_folder
from dainet.segmentation.networks import build, parameter_count
from study.plan import load_more_seeds, load_plan
from study.queue import run_queue
from tests.helpers.samples import tiny_overrides

PLAN = """
profile: tour
seeds: [0, 1]
common: {attention.backbone: pretrained, segmentation.selection: last}
epochs: {2: 1}
trainings:
  - {model: other, network: dual-1111, patients: [2], settings: {attention.control: constant}}
  - {model: unet, network: unet, patients: [2]}
"""


@pytest.fixture
def where(h5_source: Path) -> dict[str, Any]:
    values = tiny_overrides(h5_source)
    del values["segmentation.epochs"]  # the plan says how many
    return values


def test_the_plan_names_every_training_once_with_valid_settings() -> None:
    plan = load_plan()
    assert len({training.name for training in plan}) == len(plan)
    for training in plan:
        settings = training.settings({"data.source": "somewhere"})
        assert settings.data.train_patients == training.patients
        assert settings.segmentation.selection == "validation"
    for network in {training.network for training in plan}:
        build(network, width=2)
    finetuned = [t.settings({}).attention.backbone for t in plan if t.model == "dual-1111-finetuned"]
    assert finetuned == ["finetuned"] * 3


def test_the_wide_unet_is_the_width_nearest_to_the_parameters_of_the_dual_encoder() -> None:
    wide = next(t for t in load_plan() if t.model == "unet-wide").settings({}).segmentation.width
    target = parameter_count(build("dual-1111", width=16))
    assert wide == min(range(16, 32), key=lambda width: abs(parameter_count(build("unet", width=width)) - target))


def test_more_seeds_differ_from_the_plan_in_nothing_but_the_seed() -> None:
    plan, later = load_plan(), load_more_seeds()
    assert not {training.seed for training in plan} & {training.seed for training in later}
    assert [training.seed for training in later] == sorted(training.seed for training in later), "seed by seed"
    first = {(t.model, t.patients): t for t in plan if t.seed == 0}
    assert all(replace(training, seed=0) == first[training.model, 40] for training in later)


def test_the_queue_runs_what_is_missing_and_leaves_scores_histories_and_records(
    where: dict[str, Any], tmp_path: Path
) -> None:
    plan, folder = load_plan(PLAN), tmp_path / "study"
    assert run_queue(plan[:3], where, folder) == 3
    assert run_queue(plan, where, folder) == 1
    names = {training.name for training in plan}
    for kind, ending in (("scores", "csv"), ("histories", "csv"), ("records", "json")):
        assert {path.name for path in (folder / kind).iterdir()} == {f"{name}.{ending}" for name in names}
    scores = pd.read_csv(folder / "scores" / "other_2patients_seed1.csv")
    assert {"model", "seed", "patient", "phase", "class", "policy", "dsc", "hd95_vox"} <= set(scores.columns)
    assert set(scores["model"]) == {"other"}
    assert set(scores["seed"]) == {1}
    assert len(scores) == 2 * 3 * 2
    record = json.loads((folder / "records" / "other_2patients_seed1.json").read_text())
    assert record["settings"]["attention"]["control"] == "constant"
    assert str(tmp_path) not in json.dumps(record)
    assert record["selection"]["epochs_run"] == 1
    assert verify_folder(folder) == (8, [])


def test_two_queues_share_the_work(where: dict[str, Any], tmp_path: Path) -> None:
    plan, folder = load_plan(PLAN), tmp_path / "study"
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        counts = list(pool.map(run_queue, [plan] * 2, [where] * 2, [folder] * 2))
    assert sum(counts) == 4
    assert len(list((folder / "scores").iterdir())) == 4
