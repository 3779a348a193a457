"""A chart of the first study: the data regimes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from dainet.reporting.charts import label_axes, new_figure
from dainet.reporting.style import in_style

__all__ = ["regime_plot"]


@in_style
def regime_plot(scores: pd.DataFrame, models: Sequence[str] = ("unet", "dual-1111")) -> Figure:
    """Plot mean test DSC over the number of training patients: a mark per seed, a line through their means.

    Args:
        scores: per case, strict policy, with the columns model, seed, train_patients and dsc (0..1).
        models: names of the networks.
    """
    alt = f"Mean test DSC by number of training patients, a dot per seed and a line for each of: {', '.join(models)}"
    figure = new_figure(7, 4, alt)
    panel = figure.subplots()
    for model, color in zip(models, sns.color_palette("colorblind"), strict=False):
        part = scores[scores["model"] == model]
        seeds = 100 * part.groupby(["train_patients", "seed"])["dsc"].mean()
        panel.plot(seeds.index.get_level_values(0), seeds, "o", color=color, alpha=0.5, markersize=4)
        means = seeds.groupby("train_patients").mean()
        panel.plot(means.index, means, "-", color=color, linewidth=1.6, label=model)
    panel.set_xscale("log")
    ticks = sorted(scores.loc[scores["model"].isin(models), "train_patients"].unique())
    label_axes(panel, "Training patients (log scale)", "Mean test DSC (%)")
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()
    panel.legend(fontsize=9, frameon=False)
    return figure
