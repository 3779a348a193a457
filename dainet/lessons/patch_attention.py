"""Where a patch looks: the attention of one chosen token of the last block, as a figure and as sliders to move it."""

from __future__ import annotations

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from dainet.errors import InputError
from dainet.lessons.pictures import html_picture
from dainet.reporting.charts import new_figure
from dainet.reporting.figures import gray
from dainet.reporting.style import in_style

__all__ = ["choose_patch", "patch_attention_figure"]


@in_style
def patch_attention_figure(image: np.ndarray, rows: Tensor, row: int, column: int) -> Figure:
    """Draw a slice with one patch framed, and next to it where this patch looks in every head.

    Args:
        image: [H, W], any range.
        rows: [h, gh, gw, gh, gw] attention of every patch to every patch, the asking one first.
        row: of the patch, from 0 at the top.
        column: of the patch, from 0 at the left.

    Raises:
        InputError: there is no such patch.
    """
    heads, grid = len(rows), rows.shape[1:3]
    if not (0 <= row < grid[0] and 0 <= column < grid[1]):
        raise InputError(f"patch ({row}, {column}); expected rows 0 to {grid[0] - 1} and columns 0 to {grid[1] - 1}")
    figure = new_figure(
        1.6 * (heads + 1), 1.9, f"A slice with a framed patch, and the attention of it in {heads} heads"
    )
    panels = figure.subplots(1, heads + 1)
    panels[0].imshow(gray(image), cmap="gray", vmin=0, vmax=1, extent=(-0.5, grid[1] - 0.5, grid[0] - 0.5, -0.5))
    panels[0].set_title(f"patch ({row}, {column})", fontsize=9)
    for head, panel in enumerate(panels[1:]):
        panel.imshow(rows[head, row, column].numpy(), cmap="viridis")
        panel.set_title(f"Head {head + 1}", fontsize=9)
    for panel in panels:
        panel.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=1.2))
        panel.set(xticks=[], yticks=[])
    return figure


def choose_patch(image: np.ndarray, rows: Tensor) -> ipywidgets.Widget:
    """Return two sliders, row and column of a patch, above its `patch_attention_figure`."""
    row, column = (
        ipywidgets.IntSlider(value=count // 2, min=0, max=count - 1, description=name)
        for name, count in zip(("row", "column"), rows.shape[1:3], strict=True)
    )
    picture = ipywidgets.HTML()  # the Output widget of `interactive` can keep a run without a browser waiting for ever

    def draw(_: object = None) -> None:
        picture.value = html_picture(patch_attention_figure(image, rows, row.value, column.value))

    for slider in (row, column):
        slider.observe(draw, "value")
    draw()
    return ipywidgets.VBox([row, column, picture])
