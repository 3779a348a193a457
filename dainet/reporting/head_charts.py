"""Charts of attention heads: how well each finds every class, and what a network loses without it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from dainet.errors import unknown
from dainet.reporting.charts import WIDTH, label_axes, new_figure
from dainet.reporting.legends import name_columns
from dainet.reporting.style import in_style

__all__ = ["head_importance_figure", "head_score_figure"]

_METRICS = {"auroc": "AUROC", "iou": "IoU"}


@in_style
def head_score_figure(scores: Mapping[str, pd.DataFrame], metric: str = "auroc") -> Figure:
    """Draw how well every attention head finds every class: one heat map per ViT, all on one color scale.

    Args:
        scores: name of the ViT -> columns head (from 0), class and `metric`; see `dainet.attention.head_scores`. A
            single map without heads, such as a control, is one row over the whole height.
        metric: "auroc" (0..1, white at 0.5 = chance) or "iou" (0..1, colors from 0 to the highest).

    Raises:
        InputError: the metric is unknown.
    """
    if metric not in _METRICS:
        raise unknown("metric", metric, _METRICS)
    tables = {name: _head_table(table, metric) for name, table in scores.items()}
    top = 1.0 if metric == "auroc" else max(float(np.nanmax(table)) for table in tables.values())
    color_map = "vlag" if metric == "auroc" else "viridis"
    rows, columns = (max(table.shape[axis] for table in tables.values()) for axis in (0, 1))
    alt = f"Heat maps of {_METRICS[metric]} per attention head and class, one for each of: {', '.join(tables)}"
    width = min(WIDTH, len(tables) * (0.65 * columns + 0.6) + 0.8)
    cell = (width - 0.8) / len(tables) / columns - 0.6 / columns  # inches
    size = min(9.0, 26 * cell)  # points; four characters fill a cell
    figure = new_figure(width, 0.36 * rows + 1.0, alt)
    panels, added = figure.subplots(1, len(tables), squeeze=False)[0], 0.0
    for panel, (name, table) in zip(panels, tables.items(), strict=True):
        style = {"fmt": ".2f", "annot_kws": {"fontsize": size}, "linewidths": 1, "cbar": False}
        ticks = {"xticklabels": 1, "yticklabels": 1}  # all
        sns.heatmap(table, ax=panel, vmin=0, vmax=top, cmap=color_map, annot=size > 4, **style, **ticks)
        panel.set(xlabel="", ylabel="")
        panel.set_title(name, fontsize=10)
        panel.tick_params(labelsize=9, length=0)
        panel.tick_params("y", rotation=0)
        if panel is not panels[0]:
            panel.set_yticks([])  # the heads are named once, at the left
        added = max(added, name_columns(panel, list(table), cell))
    bar = figure.colorbar(panels[-1].collections[0], ax=list(panels), fraction=0.05, pad=0.02)
    bar.set_label(_METRICS[metric], fontsize=9)
    figure.set_figheight(figure.get_figheight() + added)
    return figure


@in_style
def head_importance_figure(importance: pd.DataFrame, scores: pd.DataFrame) -> Figure:
    """Draw what each head contributes to a network, and whether its map alone predicts that.

    Left: DSC lost when a head is cut. Right: the same over the head's AUROC for all classes together, with
    Spearman's rank correlation.

    Args:
        importance: see `dainet.segmentation.cuts.head_importance`.
        scores: see `dainet.attention.head_scores.head_scores`, of the same heads.
    """
    lost = importance[importance["class"] == "mean"].set_index("head")["lost"]
    auroc = _head_table(scores, "auroc")["any"]
    alt = "Bars: points of DSC lost when each attention head is cut; dots: the same against the AUROC of its map"
    figure = new_figure(10, 3.4, alt)
    bars, points = figure.subplots(1, 2)
    bars.barh(lost.index, lost, color=["C0"] * len(auroc) + ["gray"], height=0.7)
    bars.invert_yaxis()
    label_axes(bars, "DSC lost (points)", "")
    bars.set_yticks(range(len(lost)), lost.index)
    points.scatter(auroc, lost[auroc.index], color="C0")
    for head, x in auroc.items():
        points.annotate(str(head), (x, lost[head]), (5, 4), textcoords="offset points", fontsize=9)
    points.margins(0.2)
    points.set_title(f"rank correlation {spearmanr(auroc, lost[auroc.index]).statistic:.2f}", fontsize=10)
    label_axes(points, "AUROC of the map", "DSC lost (points)")
    return figure


def _head_table(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Rows Head 1, Head 2 ... (the numbers of Figure 1), columns as classes appear."""
    table = scores.pivot(index="head", columns="class", values=metric)[scores["class"].unique()]
    return table.rename(index=lambda head: f"Head {head + 1}").rename_axis(index=None, columns=None)
