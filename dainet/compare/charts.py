"""The figures of a plan: all its comparisons, its patients, parts of them, and every training as a dot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dainet.compare.comparisons import main_comparisons, networks_of, patient_differences
from dainet.compare.intervals import ROW_INCHES, IntervalRow, draw_intervals, fold_label
from dainet.compare.parts import Part
from dainet.compare.questions import Answer
from dainet.compare.scores import Scored
from dainet.data.colors import class_colors
from dainet.reporting.charts import label_axes, new_figure
from dainet.reporting.style import in_style

__all__ = ["SHOWN", "comparisons_figure", "parts_figure", "patients_figure", "trainings_figure"]

SHOWN = 4  # main comparisons at most in a figure with a panel for each; tables have all
_WIDTH = 9.0  # inches, so that the letters of a page's figure are as large as its text
_COLORS = {"supported": "#009e73", "contradicted": "#d55e00", "equivalent": "#0072b2", "inconclusive": "#555555"}
_UNJUDGED, _ONE = "#999999", "#0072b2"
_MARKS = "osD^vPX"  # of groups, for readers who see no colors
_NAME = 26  # characters of a network on one line
_LABEL = 32  # characters of a comparison that stand on one line
_PER_ROW = 5  # folds next to each other


@in_style
def comparisons_figure(found: Sequence[Answer], margin: float) -> Figure:
    """Draw a forest plot of comparisons colored by verdict; thin: 95 % interval, thick: 90 %, gray band: the margin.

    Args:
        found: see `dainet.compare.questions.answers`.
        margin: of equivalence, in points.
    """
    told = (f"{each.title} {each.result.estimate:+.2f}, {each.verdict}" for each in found)
    rows = [IntervalRow(_named(each), each.result, _color(each), each.comparison.paper) for each in found]
    lines = sum(row.label.count("\n") + 1 for row in rows)
    figure = new_figure(_WIDTH, 0.21 * lines + 1.5, f"Forest plot of differences in points of DSC: {'; '.join(told)}")
    panel = figure.subplots()
    draw_intervals(panel, rows, margin)
    seen = {each.word.split(",")[0]: _color(each) for each in found}
    handles = [Line2D([], [], marker="o", color=color, label=word) for word, color in seen.items()]
    handles.append(Line2D([], [], color="#dddddd", linewidth=8, label=f"margin: -{margin:g} to +{margin:g}"))
    if any(row.paper is not None for row in rows):
        handles.append(Line2D([], [], marker="D", linestyle="", markerfacecolor="white", color="black", label="paper"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), fontsize=8, frameon=False)
    return figure


@in_style
def patients_figure(scored: Scored) -> Figure:
    """Draw the difference of every patient in the main comparisons, in their order, with the color of its group."""
    lines = main_comparisons(scored)[:SHOWN]
    groups = scored.scores.drop_duplicates("patient").set_index("patient")["group"].replace("", np.nan)
    names = sorted(groups.dropna().unique())
    names = names if 1 < len(names) <= len(_MARKS) else []
    titles = [line.title for line in lines]
    figure = new_figure(_WIDTH, 2.7 * len(lines) + 0.5, f"Differences of single patients, sorted: {', '.join(titles)}")
    panels = figure.subplots(len(lines), 1, squeeze=False)[:, 0]
    for panel, line, title in zip(panels, lines, titles, strict=True):
        deltas = patient_differences(scored, line).sort_values()
        _draw_patients(panel, deltas, groups.reindex(deltas.index), names)
        panel.set_title(title, fontsize=9, loc="left", parse_math=False)
    if names:
        handles = [Line2D([], [], linestyle="", label=name, **_mark(names, name)) for name in names]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(names), fontsize=8, frameon=False)
    return figure


@in_style
def parts_figure(found: Sequence[Part], margin: float) -> Figure:
    """Draw the main comparisons by group, phase and class with their intervals, one panel per comparison."""
    lines = list(dict.fromkeys(part.comparison for part in found))[:SHOWN]
    rows = {line: [part for part in found if part.comparison == line and part.result is not None] for line in lines}
    titles = [line.title for line in lines]
    height = sum(ROW_INCHES * len(own) + 0.9 for own in rows.values())
    figure = new_figure(_WIDTH, height, f"Differences by class, phase and group with intervals: {', '.join(titles)}")
    ratios = [len(own) + 1 for own in rows.values()]
    panels = figure.subplots(len(lines), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for panel, title, own in zip(panels, titles, rows.values(), strict=True):
        shown = [
            IntervalRow(f"{fold_label(part.name)} ({part.patients} patients)", part.result, _ONE)
            for part in own
            if part.result is not None
        ]
        draw_intervals(panel, shown, margin)
        panel.set_title(title, fontsize=9, loc="left", parse_math=False)
    return figure


@in_style
def trainings_figure(scored: Scored) -> Figure:
    """Draw the mean test DSC of every training as a dot, one panel per fold; a vertical line is a network's mean."""
    names = networks_of(scored)
    means = 100 * scored.scores.groupby(["fold", "model", "seed", "patient"])["dsc"].mean()
    means = means.groupby(["fold", "model", "seed"]).mean()
    folds = sorted(set(means.index.get_level_values("fold")))
    across = min(_PER_ROW, len(folds))
    down = math.ceil(len(folds) / across)
    alt = f"Mean test DSC of every training, one panel per fold, one row for each of: {', '.join(names)}"
    figure = new_figure(_WIDTH, (0.16 * _lines(names) + 0.1 * len(names) + 1.0) * down, alt)
    panels = figure.subplots(down, across, sharey=True, squeeze=False)
    for panel, fold in zip(panels.flat, folds, strict=False):
        label_axes(panel, "Mean DSC (%)", "")
        _draw_trainings(panel, means[fold], names)
        panel.set_title(f"Fold {fold}" if len(folds) > 1 else "Every training", fontsize=9)
        panel.tick_params(axis="x", labelsize=8)
    for panel in panels.flat[len(folds) :]:
        panel.remove()
    return figure


def _draw_patients(panel: Axes, deltas: pd.Series, groups: pd.Series, names: Sequence[str]) -> None:
    panel.axhline(0, color="black", linewidth=0.8)
    panel.axhline(deltas.mean(), color="black", linewidth=1.2, linestyle="--")
    ranks = np.arange(1, len(deltas) + 1)
    size = 6 if len(deltas) < 150 else 3
    for name in names or [""]:
        chosen = (groups == name).to_numpy() if name else np.ones(len(deltas), bool)
        panel.plot(ranks[chosen], deltas[chosen], linestyle="", **(_mark(names, name) | {"markersize": size}))
    others = groups.isna().to_numpy() if names else np.zeros(len(deltas), bool)
    panel.plot(ranks[others], deltas[others], "o", color=_UNJUDGED, markersize=size)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_axes(panel, "Patients, sorted (dashed: their mean)", "Difference (points)")


def _draw_trainings(panel: Axes, means: pd.Series, names: Sequence[str]) -> None:
    known = set(means.index.get_level_values("model"))
    for height, name in enumerate(reversed(names)):
        if name in known:
            own = means[name]
            panel.plot([own.mean()] * 2, [height - 0.3, height + 0.3], color="black", linewidth=1.2)
            panel.plot(own, [height] * len(own), "o", color=_ONE, alpha=0.7, markersize=6)
    panel.set_yticks(range(len(names)), [fold_label(name, _NAME) for name in reversed(names)], fontsize=8)
    panel.set_ylim(-0.6, len(names) - 0.4)


def _lines(names: Sequence[str]) -> int:
    return sum(fold_label(name, _NAME).count("\n") + 1 for name in names)


def _mark(names: Sequence[str], name: str) -> dict[str, Any]:
    number = names.index(name) if name in names else 2
    mark = _MARKS[number] if name in names else "o"
    return {"marker": mark, "color": class_colors(len(_MARKS))[number], "markeredgecolor": "#333333"} | (
        {"markeredgewidth": 0.4, "markersize": 6}
    )


def _named(answer: Answer) -> str:
    first, second = fold_label(answer.comparison.first), fold_label(f"- {answer.comparison.second}")
    return f"{first}{' ' if len(first + second) < _LABEL else chr(10)}{second}\n({answer.word})"


def _color(answer: Answer) -> str:
    return _COLORS.get(answer.word.split(",")[0], _UNJUDGED)
