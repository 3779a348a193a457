"""What runs on a machine that is lent for minutes needs no library that such a machine lacks (docs/gpu.md)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY
from tests.helpers.lent_machine import LACKING, lack

# What study/slice.sh calls, a plan's trainings, packs and the fine-tuning study, and what is measured there.
MODULES = "dainet.__main__, dainet.compare.run, dainet.transfer.commands, study.__main__, benchmarks.gpu"


def test_the_commands_of_a_slice_start_without_those_libraries(tmp_path: Path) -> None:
    lack(tmp_path)
    code = f"import sys, {MODULES}; print(*sorted(sys.modules))"
    env = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {name.split(".")[0] for name in done.stdout.split()} & set(LACKING)


@pytest.mark.parametrize("name", LACKING)
def test_the_libraries_are_really_out_of_reach_there(name: str, tmp_path: Path) -> None:
    lack(tmp_path)
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", f"import {name}"], env=env, capture_output=True, text=True)
    assert "ModuleNotFoundError" in done.stderr
