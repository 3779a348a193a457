"""The explorer in a notebook: what stays in stored copies, and what goes when its cell runs again."""

import gc
from typing import Any

import ipywidgets
import nbformat
import pytest

from dainet.explorer import Explorer, display
from dainet.lessons.regenerate import normalized
from dainet.segmentation.cuts import CutNetwork
from dainet.settings import Settings

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect the data of every output."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(display, "display", lambda data, raw: found.append(data))
    return found


def counted() -> tuple[int, int]:
    """Count the widgets that the kernel keeps for its pages, and the networks in memory."""
    gc.collect()
    networks = sum(type(item) is CutNetwork for item in gc.get_objects())
    return len(ipywidgets.Widget.get_manager_state()["state"]), networks


def test_a_stored_copy_has_a_sentence_and_no_source_code(settings: Settings, displayed: list[dict[str, Any]]) -> None:
    explorer = Explorer({"discs": settings})
    explorer._ipython_display_()
    sentence, widget = displayed
    assert "make explorer" in sentence["text/html"]
    assert "Box(" not in sentence["text/plain"]
    assert WIDGET in widget
    assert widget["text/plain"] == ""
    outputs = [nbformat.v4.new_output("display_data", data) for data in displayed]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    assert [output.data for output in normalized(notebook).cells[0].outputs] == [sentence]
    explorer.close()


def test_its_cell_run_again_closes_the_one_before(settings: Settings, displayed: list[dict[str, Any]]) -> None:
    before, counts = counted(), []
    held = []  # as a notebook holds the results of its cells
    for _ in range(3):
        explorer = Explorer({"discs": settings})
        explorer.controls.model.label = "U-Net"
        explorer._ipython_display_()
        held.append(explorer)
        counts.append(counted())
    assert counts[0][0] > before[0] + 100
    assert counts[0][1] == before[1] + 2
    assert counts == counts[:1] * 3
    held[-1].close()
    assert counted() == before


def test_buttons_of_heads_that_are_replaced_go(settings: Settings) -> None:
    explorer = Explorer({"discs": settings})
    before = counted()
    explorer._fit_heads(3)
    explorer._fit_heads(6)
    assert counted() == before
    explorer.close()
