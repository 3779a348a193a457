"""Figures in a lesson: with words for readers who do not see them, and behind a slider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any, TypeVar

import ipywidgets
from IPython.core.pylabtools import print_figure
from IPython.display import display
from matplotlib.figure import Figure

from dainet.reporting.style import in_style

__all__ = ["described_png", "html_picture", "picture_slider"]

Value = TypeVar("Value")


@in_style
def described_png(figure: Figure) -> tuple[str, dict[str, str]]:
    """Return the PNG in base64 and its metadata: the figure's label is the alternative text."""
    alt = str(figure.get_label())
    return print_figure(figure, "png", base64=True), {"alt": alt} if alt else {}


def html_picture(figure: Figure) -> str:
    """Return a figure as an HTML image that holds its PNG, with its label as the alternative text."""
    return _image(*described_png(figure))


def picture_slider(name: str, values: Mapping[str, Value], draw: Callable[[Value], Figure]) -> None:
    """Display a slider and the figure of the value that it points to, at first the middle one.

    The figure of the middle value is also stored in the notebook, for readers without a kernel.

    Args:
        name: what the slider changes, written at its left.
        values: the text of each position, in order, and the value that `draw` gets there; at least one.
        draw: makes the figure of one value.
    """
    middle = list(values)[len(values) // 2]
    png, described = described_png(draw(values[middle]))
    wide = ipywidgets.Layout(width="400px")  # the usual 300 px cut a text such as "-125 to 275"
    slider = ipywidgets.SelectionSlider(description=name, options=list(values), value=middle, layout=wide)
    picture = ipywidgets.HTML(_image(png, described))

    def redraw(change: Any) -> None:
        picture.value = html_picture(draw(values[change.new]))

    slider.observe(redraw, "value")
    bundle = ipywidgets.VBox([slider, picture])._repr_mimebundle_()
    display(bundle | {"image/png": png}, metadata={"image/png": described}, raw=True)


def _image(png: str, described: Mapping[str, str]) -> str:
    return f'<img src="data:image/png;base64,{png.strip()}" alt="{escape(described.get("alt", ""))}">'
