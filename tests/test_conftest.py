"""The conftest.py of the repository: results of whoever runs the tests stay as they are, or the session fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.helpers import REPOSITORY

SAVES = """
from matplotlib.figure import Figure
from dainet.reporting.artifacts import output_folder, save_figure
from dainet.settings import load_settings
settings = load_settings("tour")
save_figure(Figure(), "new", settings, {})
assert (output_folder(settings) / "new.png").is_file()
"""
CHANGES = """
from pathlib import Path

def test_it():
    Path("figures/phantom-acdc-tour/old.png").write_bytes(b"other pixels")
    Path("figures/phantom-acdc-tour/gone.csv").unlink()
    Path("figures/phantom-acdc-tour/added.csv").touch()
    Path("runs/stage.json").touch()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with files of an earlier run and a notebook that saves another."""
    cells = [nbformat.v4.new_code_cell(SAVES)]
    for folder in ("notebooks", "figures/phantom-acdc-tour", "runs"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("old.png", "gone.csv"):
        (tmp_path / "figures" / "phantom-acdc-tour" / name).write_bytes(b"pixels")
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "01_saves.ipynb")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    shutil.copy(REPOSITORY / "conftest.py", tmp_path)
    return tmp_path


def session(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    places = {"PYTHONPATH": str(REPOSITORY), "DAINET_RUNS": str(root / "runs")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | places
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def files(root: Path) -> set[str]:
    return {path.name for folder in ("figures", "runs") for path in (root / folder).rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_notebook_under_nbval_leaves_its_figures_elsewhere(root: Path) -> None:
    done = session(root, "--nbval-lax", "--nbval-current-env", "notebooks")
    assert done.returncode == 0, done.stdout
    assert files(root) == {"old.png", "gone.csv"}


def test_a_session_that_changes_results_fails_and_names_them(root: Path) -> None:
    (root / "test_it.py").write_text(CHANGES)
    done = session(root, "test_it.py")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "1 passed" in done.stdout
    for name in ("old.png: ", "gone.csv: ", "added.csv: ", "stage.json: "):
        assert done.stdout.count(name) == 1, done.stdout
