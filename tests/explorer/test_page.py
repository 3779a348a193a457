"""The explorer as a web page: the cells of notebook 06 that are served, and their settings."""

import nbformat
import pytest
from typer.testing import CliRunner

from dainet.__main__ import app
from dainet.explorer import page
from dainet.lessons.reproduce import find_notebooks


def test_the_page_keeps_the_explorer_and_nothing_that_trains() -> None:
    notebook = page.without_lesson(nbformat.read(find_notebooks(["06"])[0], as_version=4))
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert "Explorer(explorable(PROFILE, OVERRIDES))" in code
    assert "pipeline.train(" not in code
    assert "head_importance(" not in code
    assert "check(" not in code


def test_the_command_line_gives_settings_port_and_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    served = []
    monkeypatch.setattr(page, "serve", lambda *arguments: served.append(arguments))
    options = ["--dataset", "synapse", "--set", "dino.epochs=2", "--port", "1", "--no-browser", "--pages", "3"]
    CliRunner().invoke(app, ["explorer", *options])
    assert served == [("tour", {"data.dataset": "synapse", "dino.epochs": 2}, 1, False, 3, None)]
