"""`dainet compare run`: what it refuses before the first training, what it trains, and what it leaves."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from dainet.cache.locks import try_lock
from dainet.cache.records import write_record
from dainet.compare import run
from dainet.compare.plan import plan_hash, read_plan
from dainet.compare.run import results_folder, run_plan
from dainet.errors import DainetError, InputError
from dainet.parallel.free_device import free_device
from tests.compare.test_plan import PLAN, write_plan
from tests.helpers.commands import command
from tests.helpers.samples import tiny_overrides


@pytest.fixture
def path(tmp_path: Path, h5_source: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plan that says where its data are, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    where = tiny_overrides(h5_source)
    del where["segmentation.epochs"]  # the plan says how many
    return write_plan(tmp_path, f"{PLAN}where: {json.dumps(where)}\n")


def test_a_plan_is_run_and_its_records_name_it(path: Path) -> None:
    plan = read_plan(path)
    assert command("compare", "run", str(path), "--only", "unet_fold2_seed1")[0] == 0
    status, said = command("compare", "run", str(path), "--only", "unet_fold2_seed1")
    assert (status, "ran 0 trainings" in said) == (0, True)
    folder = results_folder(plan)
    assert [each.name for each in (folder / "scores").iterdir()] == ["unet_fold2_seed1.csv"]
    record = json.loads((folder / "records" / "unet_fold2_seed1.json").read_text())
    assert record["plan"] == {"name": "small", "sha256": plan_hash(plan)}


def test_options_take_the_place_of_what_the_plan_says_about_the_machine(path: Path) -> None:
    status, _ = command("compare", "run", str(path), "--source", "not/there")
    assert "not/there" in str(status)


def test_a_plan_that_names_no_data_is_not_run_on_phantoms(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--source"):
        run_plan(read_plan(write_plan(tmp_path)), {"device": "cpu"})


def test_a_plan_that_was_edited_after_its_first_training_is_refused_with_both_hashes(path: Path) -> None:
    plan = read_plan(path)
    (results_folder(plan) / "records").mkdir(parents=True)
    write_record(results_folder(plan) / "records" / "a.json", {"plan": {"name": "small", "sha256": "f00"}})
    with pytest.raises(InputError, match=f"f00.*{plan_hash(plan)}"):
        run_plan(plan, {})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("network: unet}", "network: ued}", "'ued' is unknown"),
        ("segmentation.epochs: 2", "segmentation.epochs: 2, vit.image_size: 2", "vit.image_size"),
    ],
)
def test_every_network_is_checked_before_the_first_training(path: Path, old: str, new: str, message: str) -> None:
    path.write_text(path.read_text().replace(old, new).replace('"vit.image_size": 32, ', ""))
    with pytest.raises(InputError, match=message):
        run_plan(read_plan(path), {})
    assert not Path("runs").exists()


def test_a_training_that_the_plan_does_not_have_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match="unet_fold1_seed9"):
        run_plan(read_plan(path), {}, only="unet_fold1_seed9")


def test_a_job_whose_training_another_process_holds_is_not_done(path: Path) -> None:
    plan = read_plan(path)
    held = try_lock(f"{results_folder(plan).name}-unet_fold1_seed1")
    assert held is not None
    with pytest.raises(DainetError, match="unet_fold1_seed1"):
        run_plan(plan, {}, only="unet_fold1_seed1")
    held.release()
    with pytest.raises(DainetError, match="unet_fold1_seed1"):
        run_plan(plan, {}, seconds=-1, only="unet_fold1_seed1")


def test_jobs_of_one_training_take_a_gpu_each_and_those_with_nothing_to_do_wait_for_none(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, devices = read_plan(path), list[Any]()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits for a GPU"))
    monkeypatch.setattr(run, "_check", lambda *_: None)
    monkeypatch.setattr(run, "run_queue", lambda _, where, *__: devices.append(where["device"]))
    where = {"device": "auto"}
    with free_device("auto") as first:
        for each in (where, where | {"device": "cpu"}, where | {"n_processes": 2}):
            with suppress(DainetError):  # nothing is trained here, so there are no scores
                run_plan(plan, each, only="unet_fold1_seed1")
        run_plan(plan, where)
        assert (first, devices) == ("cuda:0", ["cuda:1", "cpu", "auto", "auto"])
        with free_device("auto"):  # none is left
            (results_folder(plan) / "scores").mkdir(parents=True)
            (results_folder(plan) / "scores" / "unet_fold1_seed1.csv").touch()
            run_plan(plan, where, only="unet_fold1_seed1")
    assert devices[-1] == "auto"
