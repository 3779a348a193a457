"""Figures of lesson 7: one-seed students, patients against trainings, gaps per patient, fewer trainings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dainet.errors import unknown
from dainet.reporting.charts import WIDTH, label_axes, new_figure
from dainet.reporting.style import in_style

__all__ = ["gap_figure", "patient_training_figure", "student_figure", "training_figure"]

_SAYS = {"yes": "#009e73", "no": "#d55e00", "inconclusive": "#555555"}


@in_style
def student_figure(students: pd.DataFrame) -> Figure:
    """Draw a row per student: the difference that the student found, with its interval, colored by what it says.

    Args:
        students: columns student (text), difference, low, high (points) and says: "yes", "no" or "inconclusive".
    """
    told = "; ".join(f"{line.student}: {line.difference:+.2f}, {line.says}" for line in students.itertuples())
    figure = new_figure(8, 0.3 * len(students) + 1.2, f"Differences in points of DSC with intervals. {told}")
    panel = figure.subplots()
    for height, line in enumerate(students[::-1].to_dict("records")):
        color = _SAYS[line["says"]]
        panel.plot([line["low"], line["high"]], [height] * 2, color=color, linewidth=3, solid_capstyle="butt")
        panel.plot(line["difference"], height, "o", color=color, markersize=6)
    panel.axvline(0, color="black", linewidth=0.8)
    label_axes(panel, "Difference in DSC (points)", "")
    panel.set_yticks(range(len(students)), students["student"][::-1], fontsize=9)
    panel.set_ylim(-0.6, len(students) - 0.4)
    handles = [panel.plot([], [], "o", color=color, label=says)[0] for says, color in _SAYS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


@in_style
def patient_training_figure(first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str], patient: str) -> Figure:
    """Draw the scores of two networks and their differences as heat maps, a row per training and a column per patient.

    Patients are in the order of the second network's means; the tick of one of them is bold.

    Args:
        first, second: DSC in points, rows seeds and columns patients, see `dainet.reporting.statistics.patient_means`.
        names: names of the networks.
        patient: whose tick is bold.

    Raises:
        InputError: there is no such patient.
    """
    order = second.mean().sort_values().index
    if patient not in order:
        raise unknown("patient", patient, sorted(order))
    tables = {names[1]: second[order], names[0]: first[order], f"{names[0]} - {names[1]}": (first - second)[order]}
    low, high = min(first.min().min(), second.min().min()), max(first.max().max(), second.max().max())
    reach = float(np.abs(first - second).to_numpy().max())
    styles = [{"vmin": low, "vmax": high, "cmap": "viridis"}] * 2 + [{"vmin": -reach, "vmax": reach, "cmap": "vlag"}]
    alt = f"Heat maps of DSC, trainings by patients, of {names[1]}, of {names[0]}, and of their difference"
    figure = new_figure(WIDTH, 8, alt)
    panels = figure.subplots(3, 1, sharex=True)
    for panel, (title, table), style in zip(panels, tables.items(), styles, strict=True):
        sns.heatmap(table, ax=panel, linewidths=0.5, cbar_kws={"label": "DSC (points)", "pad": 0.01}, **style)
        panel.set_title(title, fontsize=10, loc="left")
        panel.set(xlabel="", ylabel="Training (seed)")
        panel.tick_params(labelsize=9, length=0)
        panel.set_yticklabels(panel.get_yticklabels(), rotation=0)
    labels = panels[-1].set_xticklabels(order.str.removeprefix("patient"), rotation=0)
    labels[list(order).index(patient)].set_fontweight("bold")
    panels[-1].set_xlabel("Test patient, from the hardest to the easiest for the U-Net", fontsize=10)
    return figure


@in_style
def gap_figure(gaps: pd.DataFrame, patient: str) -> Figure:
    """Draw differences per patient, a row of points for each column, with mean and median; one patient stands out.

    Args:
        gaps: points, rows patients, columns comparisons.
        patient: whose point stands out.

    Raises:
        InputError: there is no such patient.
    """
    if patient not in gaps.index:
        raise unknown("patient", patient, gaps.index)
    told = "; ".join(f"{name}: mean {gaps[name].mean():+.2f}, median {gaps[name].median():+.2f}" for name in gaps)
    figure = new_figure(9, 0.75 * len(gaps.columns) + 1.2, f"Differences of every patient in points of DSC. {told}")
    panel = figure.subplots()
    for height, name in enumerate(gaps.columns[::-1]):
        panel.plot(gaps[name], [height] * len(gaps), "o", color="#0072b2", alpha=0.45, markersize=7, label="a patient")
        panel.plot(gaps.loc[patient, name], height, "o", color="#d55e00", markersize=7, label=patient)
        panel.plot(gaps[name].mean(), height, "|", color="black", markersize=26, markeredgewidth=2)
        panel.plot(gaps[name].median(), height, "d", color="black", markersize=6, label="median")
    panel.axvline(0, color="black", linewidth=0.8)
    label_axes(panel, "Difference in DSC (points), mean over trainings", "")
    panel.set_yticks(range(len(gaps.columns)), gaps.columns[::-1], fontsize=9)
    panel.set_ylim(-0.6, len(gaps.columns) - 0.4)
    mean = Line2D([], [], marker="|", linestyle="", color="black", markersize=10, markeredgewidth=2, label="mean")
    handles = [*panel.lines[:2], mean, panel.lines[3]]  # in the rows, the mark of the mean is as tall as the row
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


@in_style
def training_figure(tables: Mapping[str, pd.DataFrame], size: float) -> Figure:
    """Draw how often fewer trainings say "yes", and how wide their intervals are, a line per comparison.

    Args:
        tables: comparison -> `dainet.lessons.evidence.trainings.fewer_trainings`.
        size: a difference in points to compare the widths with, the paper's.
    """
    alt = f"Two line charts over the number of trainings, share that say yes and half width, for {', '.join(tables)}"
    figure = new_figure(10, 3.8, alt)
    shares, widths = figure.subplots(1, 2)
    for name, table in tables.items():
        shares.plot(table["trainings"], 100 * table["yes"], "o-", markersize=4, label=name)
        widths.plot(table["trainings"], table["half_width"], "o-", markersize=4)
    widths.axhline(size, color="black", linestyle=":", label=f"the paper's difference, {size}")
    label_axes(shares, "Trainings of each network", "Draws that say yes (%)")
    label_axes(widths, "Trainings of each network", "Half width of the interval (points)")
    widths.set_ylim(0)
    handles = [*shares.lines, widths.lines[-1]]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure
