"""The slider over pictures: the middle one is stored, and moving the slider draws the chosen one."""

from typing import Any

import ipywidgets
import nbformat
import pytest
from matplotlib.figure import Figure

from dainet.lessons import pictures
from dainet.lessons.pictures import described_png, picture_slider
from dainet.lessons.regenerate import normalized
from dainet.reporting.charts import new_figure

WIDGET = "application/vnd.jupyter.widget-view+json"


def numbered(number: int) -> Figure:
    figure = new_figure(1, 1, f"picture {number}")
    figure.subplots().set_title(str(number))
    return figure


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the slider has displayed: its data and metadata, and the widgets that were made for it."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(pictures, "display", lambda data, metadata, raw: found.update(data=data, metadata=metadata))
    box = ipywidgets.VBox
    monkeypatch.setattr(ipywidgets, "VBox", lambda children: found.update(widgets=children) or box(children))
    picture_slider("slice", {"first": 1, "second": 2, "third": 3}, numbered)
    return found


def test_the_middle_picture_is_stored_with_its_words(displayed: dict[str, Any]) -> None:
    assert displayed["data"]["image/png"] == described_png(numbered(2))[0]
    assert displayed["metadata"] == {"image/png": {"alt": "picture 2"}}
    assert WIDGET in displayed["data"]


def test_moving_the_slider_draws_the_chosen_picture(displayed: dict[str, Any]) -> None:
    slider, picture = displayed["widgets"]
    assert 'alt="picture 2"' in picture.value
    slider.value = "third"
    assert 'alt="picture 3"' in picture.value


def test_a_stored_notebook_keeps_the_picture_and_not_the_widget(displayed: dict[str, Any]) -> None:
    output = nbformat.v4.new_output("display_data", displayed["data"], metadata=displayed["metadata"])
    cell = nbformat.v4.new_code_cell("", outputs=[output])
    [stored] = normalized(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs
    assert set(stored.data) == {"image/png", "text/plain"}
    assert stored.metadata["image/png"]["alt"] == "picture 2"
