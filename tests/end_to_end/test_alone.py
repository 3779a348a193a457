"""A notebook file alone in a folder: with dainet installed from its wheel it runs, without it says what to install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbformat import NotebookNode

from dainet.lessons.reproduce import find_notebooks
from tests.helpers import REPOSITORY
from tests.helpers.notebooks import QUICK

PIP = [sys.executable, "-m", "pip"]
# Libraries of other extras: the cell that says what to install names `lessons` alone.
OF_OTHER_EXTRAS = ["lightly", "nbval", "sklearn", "statsmodels", "typst"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this checkout from a copy, because building leaves files next to the package."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(REPOSITORY / "dainet", folder / "dainet", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE.md"):
        shutil.copy(REPOSITORY / name, folder)
    options = ["--no-deps", "--no-index", "--no-build-isolation", f"--wheel-dir={folder}"]
    subprocess.run([*PIP, "wheel", str(folder), *options], check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


def environment(folder: Path, wheel: Path | None = None) -> Path:
    """Make an environment with the libraries of this one, but without this checkout; return its Python."""
    venv.create(folder)
    python = folder / "bin" / "python"
    if wheel:
        options = ["--no-deps", "--no-index", "--no-compile"]
        subprocess.run([*PIP, f"--python={python}", "install", *options, str(wheel)], check=True, capture_output=True)
    [packages] = folder.glob("lib/python*/site-packages")
    hidden = f"import sys; sys.modules.update(dict.fromkeys({OF_OTHER_EXTRAS}))"
    # A .pth file names this folder of modules, whose own .pth files, such as this checkout's, are then not read.
    (packages / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n{hidden}\n")
    return python


def run_alone(python: Path, folder: Path, overrides: dict[str, Any]) -> tuple[int, NotebookNode]:
    """Run a lesson as the only file of a folder; return the exit status and the executed notebook.

    Lesson 3 draws phantoms, computes with the weights that are shipped, and reads shipped scores, in seconds.
    """
    folder.mkdir()
    [notebook] = find_notebooks(["03"])
    shutil.copy(notebook, folder)
    here = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    parameters = ["--parameters_yaml", yaml.safe_dump({"OVERRIDES": overrides})]
    command = [str(python), "-m", "papermill", notebook.name, "executed.ipynb", *parameters]
    done = subprocess.run(command, cwd=folder, env=here, capture_output=True, check=False)
    return done.returncode, nbformat.read(folder / "executed.ipynb", as_version=4)


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    files = [path for path in (REPOSITORY / "dainet").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    wanted = {path.relative_to(REPOSITORY).as_posix() for path in files if path.suffix != ".md"}
    assert wanted - set(zipfile.ZipFile(wheel).namelist()) == set()


@pytest.mark.slow
def test_a_notebook_alone_runs_where_the_wheel_is_installed(wheel: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "environment", wheel)
    status, executed = run_alone(python, tmp_path / "alone", QUICK | {"segmentation.selection": "last"})
    assert status == 0, executed
    assert next(cell for cell in executed.cells if cell.cell_type == "code").outputs == []


@pytest.mark.slow
def test_without_dainet_it_says_what_to_install_and_stops_where_dainet_is_needed(tmp_path: Path) -> None:
    status, executed = run_alone(environment(tmp_path / "environment"), tmp_path / "alone", {})
    assert status != 0
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert "\n%pip install " in code[0].outputs[0].text
    ran = [cell for cell in code if cell.outputs or cell.execution_count]
    needed = next(cell for cell in code if "from dainet" in cell.source)
    assert ran[-1] is needed
    assert ran[-1].outputs[-1].ename == "ModuleNotFoundError"
    assert "dainet" in ran[-1].outputs[-1].evalue
