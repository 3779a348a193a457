"""Names in pictures: as many rows of a legend as they need, and ticks that do not run into each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

__all__ = ["class_legend", "name_columns", "network_legend"]

_SIZE = 9  # points
_LETTER = 0.62 * _SIZE / 72  # inches, a wide letter of the default font
_LONGEST = 30  # letters of a line below a column
_HANDLE = 0.6  # inches that an entry takes besides its name


def class_legend(figure: Figure, names: Sequence[str], colors: Sequence[str]) -> None:
    """Put a legend below a figure, in as few rows as its width allows; the figure grows by all rows but the first.

    Names stand as they are: "$" begins no formula, and "_" hides no entry.

    Raises:
        ValueError: different numbers of names and colors.
    """
    if len(names) != len(colors):
        raise ValueError(f"found {len(names)} class names and {len(colors)} colors; expected as many of each")
    width, height = figure.get_size_inches()
    texts = [fill(name, max(1, int((width - _HANDLE) / _LETTER))) for name in names]
    _, one_row = _draw(figure, ["one line"], colors[:1], 1)
    for rows in range(1, len(texts) + 1):
        wide, high = _draw(figure, texts, colors, -(-len(texts) // rows))
        if wide <= width:
            break
    figure.set_size_inches(width, height + high - one_row)


def network_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Put a legend of networks below a figure, by the labels of the handles, at most five in a row.

    Names stand as they are: "$" begins no formula, and "_" hides no network.
    """
    ncols = min(5, len(handles))
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=ncols, fontsize=9, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def name_columns(panel: Axes, names: Sequence[str], inches: float) -> float:
    """Write names below the columns of a panel, slanted where one is wider than `inches`; return the height they add.

    Names stand as they are: "$" begins no formula.
    """
    texts = [fill(name, _LONGEST) for name in names]
    longest = _LETTER * max(len(line) for text in texts for line in text.split("\n"))
    panel.set_xticks(panel.get_xticks(), texts, parse_math=False)
    if longest <= inches:
        return 0.0
    panel.tick_params("x", rotation=45)
    for label in panel.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")
    return longest * math.sqrt(0.5)


def _draw(figure: Figure, names: Sequence[str], colors: Sequence[str], columns: int) -> tuple[float, float]:
    """Draw the figure's only legend, and return its width and height in inches."""
    figure.legends.clear()
    handles = [Patch(color=color, label=" ") for color in colors]
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=_SIZE, frameon=False)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)
    box = legend.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]  # Agg's, see new_figure
    return box.width / figure.dpi, box.height / figure.dpi
