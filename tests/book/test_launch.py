"""Launch buttons: on pages of notebooks, with the place of the notebook in the repository, and only with an address."""

from __future__ import annotations

import re
import runpy
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from book.launch import launch_options
from book.sources import REPOSITORY
from tests.helpers.documents import Page

BINDER, COLAB = "https://mybinder.org", "https://colab.research.google.com"
ADDRESS = "https://github.com/someone/dainet"


def services(folder: Path, options: dict[str, Any]) -> dict[str, list[str]]:
    """Build a page and a notebook with the book's settings and these options; return the links that leave each page."""
    (folder / "notebooks").mkdir()
    (folder / "index.md").write_text("# Title\n\n```{toctree}\nnotebooks/01_first.ipynb\n```\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 1. First")])
    nbformat.write(notebook, folder / "notebooks" / "01_first.ipynb")
    settings, html, changed = REPOSITORY / "book", folder / "html", {"html_theme_options": options}
    with docutils_namespace():
        Sphinx(folder, settings, html, folder / "trees", "html", changed, status=None, warning=StringIO()).build()
    pages = {name: Page((html / f"{name}.html").read_text()) for name in ("index", "notebooks/01_first")}
    links = {name: [str(link.get("href")) for link in page.all("a")] for name, page in pages.items()}
    return {name: [link for link in found if re.match(f"{BINDER}|{COLAB}", link)] for name, found in links.items()}


def test_notebooks_have_buttons_once_there_is_an_address(tmp_path: Path) -> None:
    links = services(tmp_path, launch_options(ADDRESS))
    assert links == {
        "index": [],
        "notebooks/01_first": [
            f"{BINDER}/v2/gh/someone/dainet/main?urlpath=lab/tree/notebooks/01_first.ipynb",
            f"{COLAB}/github/someone/dainet/blob/main/notebooks/01_first.ipynb",
        ],
    }


def test_before_there_is_an_address_no_page_has_buttons(tmp_path: Path) -> None:
    assert services(tmp_path, launch_options(None)) == {"index": [], "notebooks/01_first": []}


@pytest.mark.parametrize("address", [ADDRESS, None])
def test_the_book_reads_the_address_of_the_notebooks(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dainet.lessons.first_cell.public_address", lambda _: address)
    options = runpy.run_path(str(REPOSITORY / "book" / "conf.py"))["html_theme_options"]
    assert options.get("repository_url") == address
    assert ("launch_buttons" in options) == (address is not None)


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("https://gitlab.com/someone/dainet", {"binderhub_url"}),
        ("https://codeberg.org/someone/dainet", set()),
        ("", set()),
    ],
)
def test_other_hosts_have_the_buttons_that_work_there(address: str, known: set[str]) -> None:
    assert {name for name in launch_options(address).get("launch_buttons", {}) if name.endswith("_url")} == known
