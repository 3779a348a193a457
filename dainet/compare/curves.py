"""Learning curves of the networks of a plan, with bands over their trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from dainet.compare.intervals import fold_label
from dainet.reporting.charts import WIDTH, label_axes, new_figure
from dainet.reporting.style import in_style

__all__ = ["learning_curves"]

_ACROSS = 6  # networks per row


@in_style
def learning_curves(histories: Mapping[str, Sequence[pd.DataFrame]], patients: str = "Validation") -> Figure:
    """Plot training loss and monitored DSC over the epochs: two panels per network, the first network behind in gray.

    A line is the mean over seeds, and its band goes from the lowest to the highest.

    Args:
        histories: model -> one table per seed with the columns epoch, loss and dsc (0..1).
        patients: word for those of whom that DSC is, as the axis has it.
    """
    tables, first = {model: pd.concat(seeds) for model, seeds in histories.items()}, next(iter(histories))
    losses = pd.concat(tables.values())["loss"]
    across = min(_ACROSS, len(tables))
    blocks = math.ceil(len(tables) / across)
    drawn = f"training loss and {patients.lower()} DSC over the epochs"
    alt = f"Line charts of {drawn}, one pair for each of: {', '.join(tables)}"
    figure = new_figure(WIDTH, 4 * blocks, alt)
    panels = figure.subplots(2 * blocks, across, sharex=True, sharey="row", squeeze=False)
    pairs = [panels[2 * block : 2 * block + 2, column] for block in range(blocks) for column in range(across)]
    for (model, table), (loss, dsc) in zip(tables.items(), pairs, strict=False):
        for lines, color in ((tables[first], "#999999"), (table, "#0072b2")):
            _band(loss, lines, "loss", "Training loss", color)
            _band(dsc, lines, "dsc", f"{patients} DSC", color)
        loss.set_title(fold_label(model, 22), fontsize=9, parse_math=False)
        if losses.min() > 0:  # a loss of the user may be negative
            loss.set(yscale="log", ylim=(0.9 * losses.min(), 1.1 * losses.max()))
            loss.yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}")
            loss.yaxis.set(minor_locator=NullLocator())
        dsc.set_ylim(0, 1)
    for panel in np.ravel(pairs[len(tables) :]):
        panel.remove()
    return figure


def _band(panel: Axes, table: pd.DataFrame, measure: str, text: str, color: str) -> None:
    sns.lineplot(table, x="epoch", y=measure, errorbar=("pi", 100), color=color, ax=panel)
    label_axes(panel, "Epoch", text)
    panel.label_outer()
