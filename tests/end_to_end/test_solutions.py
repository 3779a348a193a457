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
from tests.helpers.notebooks import solved


@pytest.mark.slow
def test_the_notebooks_show_what_is_stored_and_the_solutions_are_right(tmp_path: Path) -> None:
    """The command of `make test-notebooks` on copies with all answers filled in, whose checking cells say "right"."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()  # so that figures appear here too
    notebooks = {path.name: nbformat.read(path, as_version=4) for path in find_notebooks()}
    stages = {name: _stages_of_this_precision(notebook) for name, notebook in notebooks.items()}
    for name, notebook in notebooks.items():
        nbformat.write(solved(notebook), tmp_path / "notebooks" / name)
    [options] = re.findall(r"(--nbval.*)", (REPOSITORY / "Makefile").read_text(encoding="utf-8"))
    places = {"PYTHONPATH": str(REPOSITORY), "DAINET_RUNS": str(tmp_path / "runs")}
    command = [sys.executable, "-m", "pytest", *options.split()]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | places, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    missing = {
        name: [stage for key, stage in made.items() if not (tmp_path / "runs" / stage / key).is_dir()]
        for name, made in stages.items()
    }
    assert missing == {name: [] for name in notebooks}, "stored outputs are of another state: run `make notebooks`"


def _stages_of_this_precision(notebook: NotebookNode) -> dict[str, str]:
    """Key -> name of the stages behind the stored outputs; none where a key cannot be the same here."""
    made_by = notebook.metadata["dainet"]
    return made_by["stages"] if made_by["precision"] == choose_device().precision else {}
