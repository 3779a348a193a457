"""The first code cell of a notebook, for readers who have only the notebook: it says how to install dainet."""

from __future__ import annotations

import tomllib
from pathlib import Path

import nbformat
from nbformat import NotebookNode

__all__ = ["TAG", "first_cell", "public_address", "with_first_cell"]

TAG = "first-cell"
_SOURCE = """\
from importlib.util import find_spec

if not getattr(find_spec("dainet"), "origin", None):  # a mere folder of this name has no origin
    print("dainet is not installed. Run this line in a cell of its own, then go on with the next cell:\\n")
    print('%pip install "{requirement}"')
    print("\\n{where}")
"""
_WITHOUT_ADDRESS = (
    "./dainet[lessons]",
    "Here ./dainet is a copy of dainet's repository beside this notebook; or give the name of its wheel there.",
)


def public_address(repository: Path) -> str | None:
    """Return the address from which everyone can install the kit; None while pyproject.toml names none.

    Args:
        repository: the folder of pyproject.toml; the setting is `Repository` in `[project.urls]`.
    """
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    return project.get("urls", {}).get("Repository")


def first_cell(address: str | None) -> NotebookNode:
    """Return the code cell that prints, only where dainet is missing, the command that installs it from an address."""
    requirement, where = _WITHOUT_ADDRESS
    if address:
        requirement = f"dainet[lessons] @ git+{address}"
        where = f"Pictures and linked pages that this notebook lacks are at {address}"
    source = _SOURCE.format(requirement=requirement, where=where).rstrip()
    # MyST-NB leaves cells with the second tag out of the book, where nothing runs.
    return nbformat.v4.new_code_cell(source, metadata={"tags": [TAG, "remove-cell"]})


def with_first_cell(notebook: NotebookNode, address: str | None) -> NotebookNode:
    """Put the first cell, in place of an older one, before the parameters; a notebook without parameters gets none."""
    cells = [cell for cell in notebook.cells if TAG not in cell.metadata.get("tags", [])]
    parameters = [number for number, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    for number in parameters[:1]:
        cells.insert(number, first_cell(address))
    notebook.cells = cells
    return notebook
