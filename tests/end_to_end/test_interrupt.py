"""Ctrl-C: a reproduction stops within seconds, keeps what is finished and says how to resume."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from dainet.lessons.regenerate import normalized
from tests.helpers.samples import tiny_overrides, write_h5_source

CELLS = """
from dainet import pipeline
from dainet.lessons.exercises import start
pipeline.finetune(start(PROFILE, OVERRIDES))
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one notebook, which fine-tunes for ever."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    parameters = nbformat.v4.new_code_cell("PROFILE = 'tour'\nOVERRIDES = {}", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(CELLS)])
    nbformat.write(normalized(notebook), tmp_path / "notebooks" / "01_endless.ipynb")
    return tmp_path


@pytest.mark.slow
def test_an_interrupted_reproduction_stops_soon_and_says_how_to_resume(repository: Path) -> None:
    overrides = tiny_overrides(write_h5_source(repository / "h5")) | {"dino.epochs": 9999}
    options = [text for name, value in overrides.items() for text in ("--set", f"{name}={value}")]
    environment = os.environ | {"DAINET_RUNS": str(repository / "runs"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dainet", "reproduce", *options]
    process = subprocess.Popen(
        command,
        cwd=repository,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs are started deaf to it
    )
    end = time.monotonic() + 300
    while not list(repository.glob("runs/dino/*.partial/unfinished/epoch_*.pt")):
        assert process.poll() is None, "DINO did not start"
        assert time.monotonic() < end, "DINO did not start"
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the kernel too
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "dainet: interrupted" in errors
    assert list(repository.glob("runs/dino/*.partial/unfinished/epoch_*.pt"))
