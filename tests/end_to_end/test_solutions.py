"""The notebooks show what is stored, their solutions are right, and stored outputs are those of the present code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from dainet.device import choose_device
from dainet.lessons.reproduce import find_notebooks
from tests.helpers import REPOSITORY
from tests.helpers.notebooks import short_trainings, solved


@pytest.mark.slow
@pytest.mark.parametrize("path", find_notebooks(), ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored_and_its_solutions_are_right(
    path: Path, tmp_path: Path, shared_folder: Path
) -> None:
    """The command of `make test-notebooks` on a copy with all answers filled in, whose checking cells say "right".

    Trainings end early: numbers that come out of one are not compared, and stages keep the keys of the tour. All
    notebooks share one runs folder, where each stage is computed once, by whichever needs it first.
    """
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()  # so that figures appear here too
    notebook, runs = nbformat.read(path, as_version=4), shared_folder / "tour"
    stages = _stages_of_this_precision(notebook)
    nbformat.write(short_trainings(solved(notebook)), tmp_path / "notebooks" / path.name)
    [options] = re.findall(r"(--nbval.*)", (REPOSITORY / "Makefile").read_text(encoding="utf-8"))
    places = {"PYTHONPATH": str(REPOSITORY), "DAINET_RUNS": str(runs)}
    command = [sys.executable, "-m", "pytest", *options.split()]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | places, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    missing = [stage for key, stage in stages.items() if not (runs / stage / key).is_dir()]
    assert missing == [], "stored outputs are of another state: run `make notebooks`"


def _stages_of_this_precision(notebook: NotebookNode) -> dict[str, str]:
    """Key -> name of the stages behind the stored outputs; none where a key cannot be the same here."""
    made_by = notebook.metadata["dainet"]
    return made_by["stages"] if made_by["precision"] == choose_device().precision else {}
