"""Processes that torchrun starts: whole stages, a killed process, a killed parent."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dainet import pipeline
from dainet.attention.stage import open_attention
from dainet.parallel.launch import ProcessesError
from dainet.settings import Settings, load_settings
from tests.helpers.processes import children, running
from tests.helpers.samples import tiny_overrides

pytestmark = pytest.mark.slow


@pytest.fixture
def shared(h5_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for two processes, whose jobs are written below the test's own folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    overrides = tiny_overrides(h5_source) | {"segmentation.sync_batch_norm": False, "attention.backbone": "pretrained"}
    return load_settings("tour", overrides | {"n_processes": 2, "vit.weights": "tour"})


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_two_processes_extract_fine_tune_and_train(
    shared: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone = shared.model_copy(update={"n_processes": 1})
    maps, tuned = pipeline.attention(alone), pipeline.finetune(alone)
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "others"))
    trained = pipeline.train(shared, "dual-1111", seed=0)
    shared_maps = pipeline.attention(shared)
    np.testing.assert_array_equal(open_attention(shared_maps)[0], open_attention(maps)[0])  # so they share a key
    assert shared_maps.key == maps.key
    assert {path.name for path in shared_maps.path.iterdir()} == {"attention.npy", "attention.json", "provenance.json"}
    shared_tuned = pipeline.finetune(shared)
    assert shared_tuned.key != tuned.key
    assert all(result.record()["settings"]["n_processes"] == 2 for result in (shared_tuned, trained.segmentation))


def test_a_killed_process_stops_all_and_the_next_run_resumes(
    shared: Settings, runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    longer = shared.segmentation.model_copy(update={"epochs": 20, "patience": 20})
    settings = shared.model_copy(update={"segmentation": longer})
    prepared = pipeline.prepare(settings)

    def kill() -> None:
        wait_for(lambda: list(runs.glob("segmentation/*.partial/unfinished/epoch_0000[3-9]_*.pt")))
        os.kill(running(str(tmp_path))[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(ProcessesError, match=r"^segmentation: process \d of 2.*Signal 9.*start it again"):
        pipeline.train(settings, "unet", seed=0)
    killer.join()
    wait_for(lambda: not running(str(tmp_path)))
    resumed = pipeline.train(settings, "unet", seed=0)
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "undisturbed"))
    undisturbed = pipeline.train(settings, "unet", seed=0)
    assert prepared.result.key == pipeline.prepare(settings).result.key
    first, second = (load_file(one.segmentation.path / "model.safetensors") for one in (resumed, undisturbed))
    assert all(torch.equal(first[name], second[name]) for name in second)
    assert resumed.cases.equals(undisturbed.cases)


def test_an_error_in_a_process_is_reported(shared: Settings) -> None:
    on_cpu = shared.segmentation.model_copy(update={"sync_batch_norm": True})
    with pytest.raises(ProcessesError, match=r"segmentation.sync_batch_norm.*GPU"):
        pipeline.train(shared.model_copy(update={"segmentation": on_cpu}), "unet", seed=0)


def test_no_process_survives_its_parent(shared: Settings, runs: Path, tmp_path: Path) -> None:
    endless = shared.model_copy(update={"dino": shared.dino.model_copy(update={"epochs": 9999})})
    program = "import sys; from dainet import pipeline; from dainet.settings import Settings; "
    program += "pipeline.finetune(Settings.model_validate_json(sys.argv[1]))"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", program, endless.model_dump_json()], env=environment)
    wait_for(lambda: list(runs.glob("dino/*.partial/unfinished/epoch_*.pt")))
    assert len(running(str(tmp_path))) >= 2
    parent.kill()
    parent.wait()
    wait_for(lambda: not running(str(tmp_path)))


QUEUE = "from dainet.compare import queue\nwith queue._executor(2) as pool:\n    pool.submit(time.sleep, 600).result()"
AGENT = "from dainet import pipeline, settings\npipeline.finetune(settings.Settings.model_validate_json(sys.argv[1]))"


@pytest.mark.parametrize(
    ("program", "word"), [(QUEUE, "multiprocessing.spawn"), (AGENT, "dainet.parallel.launch")], ids=["queue", "agent"]
)
def test_no_process_survives_a_parent_that_is_killed_while_it_imports(
    shared: Settings, program: str, word: str
) -> None:
    parent = subprocess.Popen([sys.executable, "-c", f"import sys, time\n{program}", shared.model_dump_json()])
    wait_for(lambda: children(parent.pid, word))
    time.sleep(0.3)  # what it is told has been written, and torch takes longer
    begun = children(parent.pid, word)
    parent.kill()
    parent.wait()
    wait_for(lambda: not begun & children(None, word))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Where the tests run in the background of a shell, Python is started deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_stops_all(shared: Settings, runs: Path, tmp_path: Path, interruptible: None) -> None:
    long = shared.model_copy(update={"dino": shared.dino.model_copy(update={"epochs": 500})})

    def interrupt() -> None:
        wait_for(lambda: list(runs.glob("dino/*.partial/unfinished/epoch_*.pt")))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        pipeline.finetune(long)
    wait_for(lambda: not running(str(tmp_path)))
    assert list(runs.glob("dino/*.partial/unfinished/epoch_*.pt"))
