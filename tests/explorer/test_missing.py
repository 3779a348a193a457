"""What the explorer says about something that is not computed, here or elsewhere, and the button that computes it."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from dainet import pipeline
from dainet.cache.locks import locks_folder, stage_lock
from dainet.cache.store import RECORD, UNFINISHED, StageMissingError, finished_only
from dainet.errors import InputError
from dainet.explorer import Explorer, explorable, training
from dainet.explorer.predictor import Choice
from dainet.settings import Settings, load_settings


@pytest.fixture
def settings(trained_runs: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings of a copy of finished networks, to which a test may add others."""
    monkeypatch.setenv("DAINET_RUNS", str(shutil.copytree(trained_runs[0], tmp_path / "runs")))
    return load_settings("tour", trained_runs[1])


def in_kernel(script: Callable[[Explorer], Coroutine[Any, Any, None]], settings: Settings) -> None:
    """Run a script with an explorer that asks for a network which nobody has trained."""

    async def run() -> None:
        explorer = Explorer({"discs": settings})
        explorer.controls.mode.label = "Trained with this setting"
        explorer.controls.skips[0].value = False
        await script(explorer)
        explorer.close()

    asyncio.run(run())


async def until(state: Callable[[], object]) -> None:
    while not state():
        await asyncio.sleep(0.01)


def said(explorer: Explorer) -> str:
    return explorer.view.message.value


def offered(explorer: Explorer) -> str:
    """Return the label of the button that computes what is missing, "" where it is hidden."""
    return "" if explorer.view.train.layout.display == "none" else explorer.view.train.description


def missing_stage(settings: Settings, name: str) -> Path:
    """Return the folder that the stage of a network will have."""
    with finished_only(), pytest.raises(StageMissingError) as missing:
        pipeline.train(settings, name, seed=0)
    return missing.value.done


def leave_epochs(done: Path, epochs: int, total: int) -> None:
    """Write what a training leaves that was killed after some epochs."""
    partial = done.with_name(f"{done.name}.partial")
    (partial / UNFINISHED).mkdir(parents=True)
    (partial / RECORD).write_text(json.dumps({"settings": {"epochs": total}}))
    (partial / UNFINISHED / f"epoch_{epochs:05d}_0123456789abcdef.pt").touch()


def test_phantoms_that_are_not_drawn_yet_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path))
    explorer = Explorer(explorable("tour", {}))
    assert "phantoms" in said(explorer)
    explorer.close()


@pytest.mark.slow
def test_a_training_reports_stops_and_resumes_while_the_page_answers(settings: Settings) -> None:
    total = settings.segmentation.epochs

    async def script(explorer: Explorer) -> None:
        view = explorer.view
        assert "dual-0111" in said(explorer)
        assert offered(explorer) == "Train it now"
        view.train.click()
        await until(lambda: view.progress.value >= 2)
        assert re.search(rf"dual-0111.* {view.progress.value} of {total}", view.at_work.value)
        assert offered(explorer) == ""
        explorer.controls.skips[0].value = True  # a network that is there
        assert "<img" in view.pictures[2].value
        assert said(explorer) == ""
        explorer.controls.skips[0].value = False
        view.stop.click()
        await until(lambda: explorer.missing.training is None)
        assert view._work.layout.display == "none"
        epoch = int(re.search(rf"after epoch (\d+) of {total}", said(explorer))[1])
        assert 2 <= epoch < total
        assert offered(explorer) == "Resume"
        view.train.click()
        await until(lambda: view.progress.value)
        assert epoch <= view.progress.value < total == view.progress.max
        await until(lambda: explorer.missing.training is None)
        assert said(explorer) == offered(explorer) == ""
        assert not np.isnan(explorer.scores["this slice"]).any()

    in_kernel(script, settings)


def test_a_training_of_another_process_is_followed_and_not_offered(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dainet.explorer.missing._WAIT", 0.01)
    done = missing_stage(settings, "dual-0111")
    leave_epochs(done, 3, total=10)

    async def script(explorer: Explorer) -> None:
        assert "3 of 10" in said(explorer)
        assert offered(explorer) == ""
        (done.with_name(f"{done.name}.partial") / UNFINISHED / "epoch_00004_0123456789abcdef.pt").touch()
        await until(lambda: "4 of 10" in said(explorer))
        explorer.controls.skips[0].value = True
        await asyncio.sleep(0.05)
        assert said(explorer) == ""  # nobody waits for it any more
        explorer.controls.skips[0].value = False
        lock.release()  # as the system does when the process has died
        await until(lambda: offered(explorer) == "Resume")
        assert "after epoch 4 of 10" in said(explorer)

    with FileLock(locks_folder() / stage_lock(done)) as lock:
        in_kernel(script, settings)


def test_what_another_process_has_finished_appears(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dainet.explorer.missing._WAIT", 0.01)
    one_epoch = settings.segmentation.model_copy(update={"epochs": 1})
    settings = settings.model_copy(update={"segmentation": one_epoch})
    done = missing_stage(settings, "dual-0111")

    async def script(explorer: Explorer) -> None:
        assert "Another process" in said(explorer)
        lock.release()
        pipeline.train(settings, "dual-0111", seed=0)
        await until(lambda: said(explorer) == "")
        assert "<img" in explorer.view.pictures[2].value

    with FileLock(locks_folder() / stage_lock(done)) as lock:
        in_kernel(script, settings)


def test_what_another_cell_has_trained_appears(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dainet.explorer.missing._WAIT", 0.01)
    one_epoch = settings.segmentation.model_copy(update={"epochs": 1})
    settings = settings.model_copy(update={"segmentation": one_epoch})

    async def script(explorer: Explorer) -> None:
        assert offered(explorer) == "Train it now"
        await asyncio.sleep(0.05)
        assert offered(explorer) == "Train it now"
        pipeline.train(settings, "dual-0111", seed=0)
        await until(lambda: said(explorer) == offered(explorer) == "")
        assert "<img" in explorer.view.pictures[2].value

    in_kernel(script, settings)


def test_a_script_does_not_wait_for_another_process(settings: Settings) -> None:
    done = missing_stage(settings, "dual-1110")
    with FileLock(locks_folder() / stage_lock(done)):
        explorer = Explorer({"discs": settings})
        explorer.controls.mode.label = "Trained with this setting"
        explorer.controls.skips[3].value = False
        assert "Another process" in said(explorer)


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        ("print('dainet-error', '\"lower the rate\"'); raise SystemExit(1)", "lower the rate"),
        ("import os; os.kill(os.getpid(), 9)", "memory"),
        ("raise SystemExit('no such library')", "no such library"),
    ],
)
def test_the_page_says_why_a_training_failed_and_offers_it_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, child: str, reason: str
) -> None:
    monkeypatch.setattr(training, "_COMMAND", (sys.executable, "-c", f"import sys; sys.stdin.read(); {child}"))

    async def script(explorer: Explorer) -> None:
        explorer.view.train.click()
        await until(lambda: explorer.missing.training is None)
        assert reason in said(explorer)
        assert offered(explorer) == "Train it now"
        explorer.controls.model.label = "U-Net"
        assert said(explorer) == ""

    in_kernel(script, settings)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("CUDA out of memory"), "RuntimeError: CUDA"),
        (MemoryError(), "MemoryError"),
        (InputError("x"), '"x"'),
    ],
)
def test_the_process_says_why_it_failed(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    reason: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(training, "train", fail)
    choice = Choice("dual", True, (True,) * 4, (True,) * 6, "finetuned")
    assert training._compute(load_settings("tour", {}), choice) == 1
    assert reason in capsys.readouterr().out.splitlines()[-1]


def test_closing_ends_the_training(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    monkeypatch.setattr(training, "_COMMAND", (sys.executable, "-c", child))

    async def script(explorer: Explorer) -> None:
        explorer.view.train.click()
        found = explorer.missing.training
        await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        explorer.close()
        await until(lambda: not found.running)
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)

    in_kernel(script, settings)
