"""Maps of all heads next to the picture that the ViT saw, in one figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from dainet.reporting.charts import WIDTH, new_figure
from dainet.reporting.figures import gray
from dainet.reporting.style import in_style

__all__ = ["attention_panel"]

_IN_A_ROW = 7  # pictures: the six heads of a ViT-S, and what they looked at
_SIDE = 1.9  # inches at most


@in_style
def attention_panel(
    images: Sequence[np.ndarray],
    maps: np.ndarray,
    names: Sequence[str],
    title: str,
    frame: tuple[float, float, float, float] | None = None,
) -> Figure:
    """Draw every image, with its rows and columns, and then the map of every head on its own scale, lowest to highest.

    Args:
        images: n images [H, W], or [H, W, 3] in [0, 1].
        maps: [n, h, H, W].
        names: of the images, at their left.
        title: stands above all.
        frame: left, top, width and height in px of the patch that asks; it is framed in red.
    """
    heads, (height, width) = maps.shape[1], maps.shape[2:]
    lines = -(-(heads + 1) // _IN_A_ROW)  # for one image
    columns = -(-(heads + 1) // lines)
    side = min(_SIDE, (WIDTH - 0.4) / columns)
    shape = (len(images) * lines, columns)
    high = max(side * height / width, 0.3) + 0.25
    alt = f"{title}; {len(images)} images, each followed by the maps of {heads} heads"
    figure = new_figure(max(side * columns + 0.4, 5), high * shape[0] + 0.5, alt)
    figure.suptitle(title.replace("$", r"\$"), fontsize=10, wrap=True)  # wrapping ignores parse_math=False
    panels = figure.subplots(*shape, squeeze=False).reshape(len(images), lines * columns)
    for row, image, heads_of_image, name in zip(panels, images, maps, names, strict=True):
        row[0].imshow(image if image.ndim == 3 else gray(image), cmap="gray")
        row[0].set_ylabel(name, fontsize=10)
        for number, (panel, values) in enumerate(zip(row[1:], heads_of_image, strict=False), start=1):
            panel.imshow(values, cmap="viridis")
            panel.set_title(f"Head {number}" if heads > 1 else "All heads", fontsize=9)
        for number, panel in enumerate(row):
            _plain(panel, number <= heads, frame)
        row[0].xaxis.set_major_locator(MaxNLocator(4, integer=True))  # rows and columns to ask for, see --token
        row[0].yaxis.set_major_locator(MaxNLocator(4, integer=True))
        row[0].tick_params(labelsize=6, length=2, pad=1)
    return figure


def _plain(panel: Axes, used: bool, frame: tuple[float, float, float, float] | None) -> None:
    panel.set(xticks=[], yticks=[])
    panel.spines[:].set_visible(False)
    if used and frame:
        left, top, width, height = frame
        panel.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor="red", linewidth=1.2))
