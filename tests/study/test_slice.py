"""What `study/slice.sh` calls on a lent machine, whose Python and multi-process service are stubs that write a log."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY

PLAN = "study/plans/near-paper.yaml"
PYTHON = """#!/bin/sh
echo "$@" >> log
case "$*" in
    *"dainet compare run"* | *dino-course*) exit "$STATUS" ;;
    *"dainet pack"*) [ -d figures ] ;;
esac
"""
SERVICE = """#!/bin/sh
[ "$1" = -d ] && word=start || read word
echo "service: $word" >> log
[ "$word" = start ] || exit "$ANSWERS"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder whose slice has one pack; nothing has to be installed."""
    for name in ("slice/inputs", "bin", "work/site", "work/wheels"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "slice" / "inputs" / "pack.json").touch()
    stub(tmp_path / "bin" / "python3", PYTHON)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "runs"))
    for name in ("DAINET_FIGURES", "CUDA_MPS_PIPE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def stub(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def run_slice(work: str, status: int = 0, answers: int = 0, **environment: str) -> tuple[int, list[str]]:
    """Run the script; return its status, and the lines of the log."""
    words = ["bash", str(REPOSITORY / "study" / "slice.sh"), "there", "../slice", "60", work]
    own = {"STATUS": str(status), "ANSWERS": str(answers)} | environment
    done = subprocess.run(words, env=os.environ | own, check=False, capture_output=True)
    return done.returncode, Path("log").read_text().splitlines()


@pytest.mark.parametrize("answers", [0, 1])
def test_three_trainings_share_a_card_only_where_the_service_answers(machine: Path, answers: int) -> None:
    stub(machine / "bin" / "nvidia-cuda-mps-control", SERVICE)
    lines = run_slice(PLAN, answers=answers)[1]
    assert ["--processes 3" in line for line in lines if "compare run" in line] == [answers == 0]
    assert [line for line in lines if "service" in line][:2] == ["service: start", "service: get_server_list"]
    assert lines.count("service: quit") == (answers == 0)


@pytest.mark.parametrize("work", ["tests", "dino-course"])
def test_other_work_needs_no_service(machine: Path, work: str) -> None:
    stub(machine / "bin" / "nvidia-cuda-mps-control", SERVICE)
    lines = run_slice(work)[1]
    assert not [line for line in lines if "service" in line or "--processes" in line]
    assert len([line for line in lines if "pytest" in line or "dino-course" in line]) == 1


@pytest.mark.parametrize("options", ["", "--states", "--states --stages dino"])
def test_options_of_the_last_pack_are_passed_on(machine: Path, options: str) -> None:
    status, lines = run_slice(PLAN, PACK_OPTIONS=options)
    assert status == 0
    expected = f"-m dainet pack back --results figures --part-mib 15 {options}"
    assert lines[-1].split() == expected.split()


def test_a_slice_without_results_packs_nothing_and_keeps_its_status(machine: Path) -> None:
    assert run_slice(PLAN, status=124)[0] == 124
