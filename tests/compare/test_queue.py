"""The queue: what is missing runs once, and leaves scores, histories and records."""

from __future__ import annotations

import json
import os
import time
import weakref
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dainet import device, pipeline
from dainet.cache.locks import try_lock
from dainet.cache.records import write_record
from dainet.cache.verify import verify_folder
from dainet.compare.plan import Plan, Training, read_plan
from dainet.compare.queue import _executor, _known_seconds, run_queue
from dainet.errors import DainetError, InputError, NonFiniteError
from dainet.segmentation import stage
from dainet.settings import Settings
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


def test_scores_histories_and_records_are_those_of_the_training(
    plan: Plan, where: dict[str, Any], tmp_path: Path
) -> None:
    training, folder = plan.trainings()[1], tmp_path / "study"
    run_queue([training], where, folder)
    trained = pipeline.train(training.settings(where), training.network, training.seed)
    scores = pd.read_csv(folder / "scores" / f"{training.name}.csv")
    assert list(scores)[:4] == ["model", "fold", "seed", "patient"]
    for name in ("dsc", "hd95_vox", "assd_mm", "surface_dice_2mm", "predicted_voxels", "labeled_voxels"):
        np.testing.assert_allclose(scores[name], trained.cases[name].astype(float), atol=5.1e-7)
    for name in ("case_id", "class", "policy", "phase", "seed"):
        assert list(scores[name]) == list(trained.cases[name])
    assert scores["dsc"].round(6).equals(scores["dsc"])
    history = pd.read_csv(folder / "histories" / f"{training.name}.csv")
    pd.testing.assert_frame_equal(history, pd.read_csv(trained.segmentation.path / "history.csv").round(6))
    record = json.loads((folder / "records" / f"{training.name}.json").read_text())
    stage = trained.segmentation
    assert record["stage"] == {"segmentation": stage.key, "inputs": stage.record()["inputs"]}
    assert record["selection"] == json.loads((stage.path / "selection.json").read_text())


@pytest.mark.slow
def test_several_processes_of_one_queue_share_the_work(
    plan: Plan, where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where figures/ holds the ledger of looks
    trainings, folder = plan.trainings()[:3], tmp_path / "figures" / "small"
    facts = {"name": plan.name, "sha256": "0"}
    assert run_queue(trainings, where, folder, processes=2, plan=facts) == 3
    records = [json.loads(path.read_text()) for path in (folder / "records").iterdir()]
    assert [record["plan"] for record in records] == [facts] * 3
    assert {record["model"] for record in records} == {"unet", "random", "image"}
    assert (tmp_path / "figures" / ".looks.jsonl").is_file()


def number_of_this_process(folder: Path) -> int | None:
    """Return it when a second process of the queue has come here, too."""
    (folder / str(os.getpid())).touch()
    end = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    return device._number


@pytest.mark.slow
def test_the_processes_of_a_queue_are_numbered(tmp_path: Path) -> None:
    with _executor(2) as executor:
        numbers = [executor.submit(number_of_this_process, tmp_path) for _ in range(2)]
        assert {each.result() for each in numbers} == {0, 1}
    assert device._number is None, "this process takes the GPU that torch gives it"


def fail(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
    """Let the next trainings fail with these errors, one after another, and all others run."""
    train, left = pipeline.train, list(errors)

    def failing(settings: Settings, network: str, seed: int) -> pipeline.Trained:
        if left:
            raise left.pop(0)
        return train(settings, network, seed)

    monkeypatch.setattr(pipeline, "train", failing)


def test_a_training_whose_loss_is_not_finite_is_repeated_once_with_another_seed(
    plan: Plan, where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, folder = plan.trainings()[0], tmp_path / "study"
    repeated = pipeline.train(training.settings(where), "unet", 101).cases.query("policy == 'strict'")
    fail(monkeypatch, NonFiniteError("epoch 1"))
    assert run_queue([training], where, folder) == 1
    scores = pd.read_csv(folder / "scores" / f"{training.name}.csv").query("policy == 'strict'")
    np.testing.assert_allclose(scores["dsc"], repeated["dsc"], atol=5.1e-7)
    assert set(scores["seed"]) == {1}, "the seed of the plan"
    record = json.loads((folder / "records" / f"{training.name}.json").read_text())
    assert record["repeated"] == {"because": "epoch 1", "with_seed": 101}


def test_what_is_repeated_has_left_the_memory(
    plan: Plan, where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, models = pipeline.train, list[weakref.ref[torch.nn.Module]]()

    def failing(settings: Settings, network: str, seed: int) -> pipeline.Trained:
        if not models:
            model = torch.nn.Linear(1, 1)
            models.append(weakref.ref(model))
            raise NonFiniteError("epoch 1")
        assert models[0]() is None
        return train(settings, network, seed)

    monkeypatch.setattr(pipeline, "train", failing)
    assert run_queue(plan.trainings()[:1], where, tmp_path / "study") == 1


def test_trainings_that_fail_are_named_when_all_others_have_run(
    plan: Plan, where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings, folder = [each for each in plan.trainings() if each.model != "image"][:4], tmp_path / "study"
    fail(
        monkeypatch, NonFiniteError("1"), NonFiniteError("2"), MemoryError(), RuntimeError("CUDA error: out of memory")
    )
    names = ".*".join(training.name for training in trainings[:3])
    with pytest.raises(DainetError, match=f"1 trainings ran, 3 failed.*{names}.*report"):
        run_queue(trainings, where, folder)
    assert [path.stem for path in (folder / "scores").iterdir()] == [trainings[3].name]


def test_a_gpu_without_memory_for_one_training_has_the_others_run(
    plan: Plan, where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings, folder = [each for each in plan.trainings() if each.model == "unet"][:2], tmp_path / "study"
    train, left = stage.train, [torch.OutOfMemoryError("tried to allocate")]

    def failing(*arguments: Any) -> None:
        if left:
            raise left.pop()
        train(*arguments)

    monkeypatch.setattr(stage, "train", failing)
    for name, found in (("mem_get_info", (2**30, 2**33)), ("memory_reserved", 0), ("get_device_name", "Small 1")):
        monkeypatch.setattr(torch.cuda, name, lambda found=found: found)
    with pytest.raises(DainetError, match=f"1 trainings ran, 1 failed.*{trainings[0].name}.*Small 1 does not suffice"):
        run_queue(trainings, where, folder)
    assert [path.stem for path in (folder / "scores").iterdir()] == [trainings[1].name]


def test_any_other_error_ends_the_queue(
    plan: Plan, where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, InputError("no such folder"))
    with pytest.raises(InputError, match="no such folder"):
        run_queue(plan.trainings(), where, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_training_that_another_process_holds_is_left_to_it(plan: Plan, where: dict[str, Any], tmp_path: Path) -> None:
    training, folder = plan.trainings()[0], tmp_path / "study"
    held = try_lock(f"study-{training.name}")
    assert held is not None
    assert run_queue([training], where, folder) == 0
    assert not folder.exists()
    held.release()
    assert run_queue([training], where, folder) == 1
    free = try_lock(f"study-{training.name}")
    assert free is not None, "the queue has let it go"
    free.release()


class Timed:
    """A training under a name of its own that takes so many seconds of a clock."""

    def __init__(self, training: Training, name: str, clock: SimpleNamespace, seconds: float) -> None:
        self.name, self.network, self.seed, self.labels = name, training.network, training.seed, training.labels
        self._training, self._clock, self._seconds = training, clock, seconds

    def settings(self, where: Any) -> Settings:
        self._clock.now += self._seconds
        return self._training.settings(where)


def test_the_longest_training_so_far_must_still_fit(
    plan: Plan, where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    for module in ("queue", "one_training"):
        monkeypatch.setattr(f"dainet.compare.{module}.time", clock)
    for takes, seconds, count in (((10, 4, 4), 23, 2), ((10, 4, 4), 24, 3), ((4, 10, 4), 23, 2)):
        timed = [Timed(plan.trainings()[0], f"{number}", clock, each) for number, each in enumerate(takes)]
        assert run_queue(timed, where, tmp_path / f"{takes} {seconds}", seconds) == count


def test_how_long_a_model_takes_is_known_from_its_records_on_the_same_hardware(
    plan: Plan, where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, folder = SimpleNamespace(now=100.0), tmp_path / "study"
    clock.monotonic = lambda: clock.now
    for module in ("queue", "one_training"):
        monkeypatch.setattr(f"dainet.compare.{module}.time", clock)
    unet = {name: Timed(plan.trainings()[0], name, clock, 10) for name in "abc"}
    other = Timed(plan.trainings()[0], "other", clock, 10)
    other.labels = unet["a"].labels | {"model": "another network"}
    assert run_queue([unet["a"]], where, folder, seconds=1) == 1, "nothing tells how long it takes"
    assert run_queue([unet["b"]], where, folder, seconds=9) == 0
    assert run_queue([unet["b"]], where, folder, seconds=11) == 1
    assert run_queue([other], where, folder, seconds=9) == 1
    monkeypatch.setattr("dainet.compare.queue.hardware", lambda: {"accelerator": "NVIDIA H200"})
    assert run_queue([unet["c"]], where, folder, seconds=9) == 1


def test_what_processes_of_one_thread_took_is_known_to_the_queue_that_starts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "records").mkdir()
    for seconds, threads in ((10.0, 1), (5.0, 16)):
        hardware = {"accelerator": "NVIDIA H200", "threads": threads}
        monkeypatch.setattr("dainet.device.hardware", lambda here=hardware: here)  # as the processes write it
        write_record(tmp_path / "records" / f"{threads}.json", {"model": "unet", "seconds": seconds})
    monkeypatch.setattr("dainet.compare.queue.hardware", lambda: hardware)
    assert _known_seconds(tmp_path, processes=2) == {"unet": 10.0}
    assert _known_seconds(tmp_path, processes=1) == {"unet": 5.0}
