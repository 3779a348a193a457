"""Accuracy against cost: one dot per network, its size the parameters, its color the family, its name next to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, StrMethodFormatter
from matplotlib.transforms import Bbox

from dainet.errors import InputError
from dainet.reporting.charts import label_axes, new_figure
from dainet.reporting.style import in_style
from dainet.segmentation.outside import is_outside

__all__ = ["FAMILIES", "cost_chart", "family"]

# The first word of a name decides where the whole name has no entry.
FAMILIES = {
    "maps or features of a ViT": ("single", "dual"),
    "convolution": ("unet", "attn", "r50", "vnet", "mednext", "nnunet"),
    "transformer": ("vit", "swin"),
    "convolution and transformer": ("r50-vit-cup", "transunet", "mt", "transcascade"),
}
_OTHER = "other"
_LARGEST, _SMALLEST = 500.0, 12.0  # points² of the dot with the most parameters, and what every dot has in addition
_DISTANCES = (6, 12, 22, 36)  # points between dot and name that are tried, from near to far
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def family(name: str) -> str:
    """Return the family of a network of the catalog by its name (reduced forms are of the same); "other" if unknown."""
    full = name.removesuffix("-small")
    for key in () if is_outside(name) else (full, full.split("-")[0]):
        for found, names in FAMILIES.items():
            if key in names:
                return found
    return _OTHER


@in_style
def cost_chart(costs: pd.DataFrame, scores: Mapping[str, float], score_title: str = "DSC (%)") -> Figure:
    """Draw the score of each network over its operations (logarithmic), with its parameters as the area of its dot.

    Args:
        costs: columns Network, GFLOP per image and Parameters (M); see `dainet.reporting.costs.network_costs`.
        scores: network -> score; networks without one, or without costs, are left out.
        score_title: of the vertical axis.

    Raises:
        InputError: no network has both.
    """
    shown = costs[costs["Network"].isin(list(scores))].sort_values("Parameters (M)", ascending=False)
    if shown.empty:
        raise InputError(
            f"no network has costs and a score; found costs of {', '.join(costs['Network'])} and scores of "
            f"{', '.join(scores)}; measure the same networks"
        )
    names = list(shown["Network"])
    figure = new_figure(9, 5, f"Dots: {score_title} over GFLOP per image, for {', '.join(names)}")
    panel = figure.subplots()
    colors = dict(zip([*FAMILIES, _OTHER], sns.color_palette("colorblind", len(FAMILIES) + 1), strict=True))
    x, y = shown["GFLOP per image"], shown["Network"].map(scores)
    most = shown["Parameters (M)"].max()
    areas = _LARGEST * shown["Parameters (M)"] / most + _SMALLEST
    panel.scatter(x, y, areas, [colors[family(name)] for name in names], alpha=0.75, edgecolors="white", zorder=3)
    panel.set_xscale("log")
    panel.margins(0.12)
    label_axes(panel, "GFLOP per image (logarithmic)", score_title)
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.xaxis.set_minor_locator(LogLocator(subs=()))
    _draw_legend(figure, colors, [kind for kind in colors if kind in {family(name) for name in names}], most)
    figure.draw_without_rendering()
    _name_dots(panel, list(zip(names, x, y, areas**0.5 / 2, strict=True)))
    return figure


def _draw_legend(figure: Figure, colors: Mapping[str, Any], kinds: Sequence[str], most: float) -> None:
    """Explain the colors, and the area by a dot of a round number of parameters, in millions."""
    handles = [Line2D([], [], color=colors[kind], marker="o", ls="", label=kind) for kind in kinds]
    size = next((size for size in (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1) if size <= most), most)
    dot: dict[str, Any] = {
        "color": "#888888",
        "marker": "o",
        "ls": "",
        "markersize": (_LARGEST * size / most + _SMALLEST) ** 0.5,
    }
    handles.append(Line2D([], [], label=f"{size:g} M parameters", **dot))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9, frameon=False)


def _name_dots(panel: Axes, dots: Sequence[tuple[str, float, float, float]]) -> None:
    """Write each name (name, x, y, radius in points) where it covers no dot, no other name and stays in the panel."""
    scale = panel.figure.dpi / 72
    taken = []
    for _, x, y, radius in dots:
        across, up = panel.transData.transform((x, y))
        taken.append(Bbox.from_bounds(across, up, 0, 0).padded(radius * scale))
    for name, x, y, radius in sorted(dots, key=lambda dot: dot[1]):
        places = [(side, radius + distance) for distance in _DISTANCES for side in _SIDES]
        for side, distance in places:
            text = _annotate(panel, name, (x, y), side, distance)
            box = text.get_window_extent()
            free = not any(box.overlaps(other) for other in taken)
            if free and panel.bbox.contains(box.x0, box.y0) and panel.bbox.contains(box.x1, box.y1):
                break
            text.remove()
        else:
            text = _annotate(panel, name, (x, y), *places[0])
        taken.append(text.get_window_extent())


def _annotate(panel: Axes, name: str, at: tuple[float, float], side: tuple[int, int], distance: float) -> Annotation:
    across, up = side
    return panel.annotate(
        name,
        at,
        (across * distance, up * distance),
        textcoords="offset points",
        ha={1: "left", -1: "right", 0: "center"}[across],
        va={1: "bottom", -1: "top", 0: "center"}[up],
        fontsize=8,
        zorder=4,
    )
