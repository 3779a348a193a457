"""The first cell of a notebook: silent where dainet is installed, elsewhere the command that installs it."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from packaging.requirements import Requirement

from dainet.lessons.first_cell import TAG, first_cell, public_address, with_first_cell

ADDRESS = "https://forge.example/someone/dainet"


def printed(source: str, folder: Path) -> str:
    """What the cell prints in a Python that has its standard library and the given working folder, and no more."""
    command = [sys.executable, "-S", "-c", source]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, check=True).stdout


def requirement(text: str) -> str:
    """What the only line that installs asks for."""
    [found] = re.findall(r'^%pip install "(.+)"$', text, flags=re.MULTILINE)
    return str(found)


def notebook(*tags: str) -> NotebookNode:
    cells = [nbformat.v4.new_code_cell("1", metadata={"tags": [tag]}) for tag in tags]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 1. Title"), *cells])


@pytest.mark.parametrize("address", [None, ADDRESS])
def test_where_dainet_is_installed_nothing_is_printed(address: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    exec(first_cell(address).source, {})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("folder_of_this_name", [False, True])
def test_elsewhere_it_prints_the_command(tmp_path: Path, folder_of_this_name: bool) -> None:
    """A copy of the repository beside the notebook may be called dainet; Python takes such a folder for a package."""
    if folder_of_this_name:
        (tmp_path / "dainet").mkdir()
    asked = Requirement(requirement(printed(first_cell(ADDRESS).source, tmp_path)))
    assert (asked.name, asked.extras, asked.url) == ("dainet", {"lessons"}, f"git+{ADDRESS}")


def test_without_an_address_it_names_a_copy_beside_the_notebook(tmp_path: Path) -> None:
    text = printed(first_cell(None).source, tmp_path)
    assert requirement(text) == "./dainet[lessons]"
    assert {"repository", "wheel"} <= set(re.findall(r"\w+", text))
    assert "http" not in text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (f'[project.urls]\nRepository = "{ADDRESS}"', ADDRESS),
        ('[project]\nname = "dainet"', None),
        ("", None),
    ],
)
def test_the_address_is_one_setting(tmp_path: Path, text: str, address: str | None) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert public_address(tmp_path) == address


def test_it_stands_before_the_parameters_and_takes_the_place_of_an_older_one() -> None:
    old = with_first_cell(notebook("parameters", "slide"), None)
    new = with_first_cell(old, ADDRESS)
    assert [cell.metadata.get("tags", [None])[0] for cell in new.cells] == [None, TAG, "parameters", "slide"]
    assert ADDRESS in new.cells[1].source


def test_a_notebook_without_parameters_gets_none() -> None:
    assert len(with_first_cell(notebook("slide"), ADDRESS).cells) == len(notebook("slide").cells)
