"""The figure of all studies: every comparison with its intervals, and the gain over the U-Net against the U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dainet.compare.analysis import Difference, difference
from dainet.compare.comparisons import compare_networks
from dainet.compare.intervals import PAPER, draw_interval
from dainet.compare.plan import Plan
from dainet.compare.scores import Scored, fold_scores
from dainet.reporting.charts import WIDTH, label_axes, new_figure
from dainet.reporting.style import in_style

__all__ = [
    "Gain",
    "Row",
    "first_study_gains",
    "first_study_rows",
    "gains_of",
    "overview_figure",
    "planned_rows",
    "rows_of",
]

_COLORS = ("#999999", "#0072b2", "#009e73", "#d55e00")
_FIRST_STUDY = "ACDC, small networks (20 patients, seen before)"
_FIRST_COMPARISONS = (
    ("dual-1111", "unet", 0.33),
    ("dual-1111", "dual-1111-random", None),
    ("dual-1111", "unet-wide", None),
)
_PENDING: dict[str, Any] = {"fontsize": 7.5, "style": "italic", "ha": "right", "va": "center"}
_PAPER = ((79.52, 4.74), (91.57, 0.33))  # Tables 1 and 2: the U-Net's DSC and DAINet's lead over it


@dataclass(frozen=True)
class Row:
    """One comparison of one study, as the forest plot shows it; without a result where the study has not run."""

    study: str
    label: str
    result: Difference | None
    patients: int
    trainings: int
    paper: float | None = None


@dataclass(frozen=True)
class Gain:
    """The lead of dual-1111 over the U-Net in one study, beside the U-Net's own DSC (percent)."""

    study: str
    baseline: float
    result: Difference


def rows_of(scored: Scored) -> list[Row]:
    """Return a row for each comparison of a plan."""
    rows = []
    for line in scored.plan.comparisons:
        own = scored.scores[scored.scores["model"].isin([line.first, line.second])]
        trainings = len(own[["model", "fold", "seed"]].drop_duplicates())
        result = compare_networks(scored, line)
        rows.append(Row(scored.plan.title, line.title, result, own["patient"].nunique(), trainings, line.paper))
    return rows


def planned_rows(plan: Plan) -> list[Row]:
    """Return the comparisons of a plan before its last wave is whole: their patients and trainings to come."""
    patients = sum(part == "test" for fold in plan.splits() for part in fold.values())
    models = [training.model for training in plan.trainings()]
    rows = []
    for line in plan.comparisons:
        trainings = models.count(line.first) + models.count(line.second)
        rows.append(Row(plan.title, line.title, None, patients, trainings, line.paper))
    return rows


def gains_of(scored: Scored) -> list[Gain]:
    """Return the lead over the U-Net in a plan's study; nothing where it has no such comparison."""
    lines = [line for line in scored.plan.comparisons if (line.first, line.second) == ("dual-1111", "unet")]
    if not lines:
        return []
    line = lines[0]
    baseline = np.concatenate([fold.mean(0) for fold in fold_scores(scored.scores, line.second)]).mean()
    return [Gain(scored.plan.title, float(baseline), compare_networks(scored, line))]


def first_study_rows(strict: pd.DataFrame) -> list[Row]:
    """Return the rows of the first study with 40 training patients, recomputed by the analysis of the next ones."""
    strict = strict[strict["train_patients"] == 40].assign(fold=1)
    rows = []
    for first, second, paper in _FIRST_COMPARISONS:
        a, b = (fold_scores(strict, name) for name in (first, second))
        trainings, patients = len(a[0]) + len(b[0]), a[0].shape[1]
        rows.append(Row(_FIRST_STUDY, f"{first} - {second}", difference(a, b), patients, trainings, paper))
    return rows


def first_study_gains(strict: pd.DataFrame) -> list[Gain]:
    """Return the lead over the U-Net at every number of training patients of the first study."""
    gains = []
    for _, part in strict.assign(fold=1).groupby("train_patients"):
        first, second = (fold_scores(part, name) for name in ("dual-1111", "unet"))
        gains.append(Gain(_FIRST_STUDY, float(second[0].mean()), difference(first, second)))
    return gains


@in_style
def overview_figure(rows: Sequence[Row], gains: Sequence[Gain], margin: float = 0.3, note: str = "") -> Figure:
    """Draw the forest of all comparisons (left) and the gain over the U-Net against the U-Net's DSC (right).

    Thin: 95 % interval; thick: 90 %. The gray band is the margin of equivalence; diamonds are the paper's differences.

    Args:
        rows: of one or more studies, in the order in which they are drawn.
        gains: likewise.
        margin: of equivalence, in points.
        note: printed above the figure, such as that its scores are simulated.
    """
    alt = "Left: differences in DSC with intervals, by study. Right: the lead of dual-1111 over the U-Net by its DSC"
    figure = new_figure(WIDTH, 0.36 * len(rows) + 2.2, alt)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    studies = list(dict.fromkeys(row.study for row in rows))
    colors = dict(zip(studies, _COLORS, strict=False))
    _forest(left, rows, colors, margin)
    _shrinking(right, gains, colors)
    handles = [left.plot([], [], "o", color=color, label=study)[0] for study, color in colors.items()]
    handles.append(left.plot([], [], "D", markerfacecolor="white", color="black", label="paper (one run)")[0])
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    if note:
        figure.suptitle(note, fontsize=11, color="#d55e00")
    return figure


def _forest(panel: Axes, rows: Sequence[Row], colors: dict[str, str], margin: float) -> None:
    panel.axvspan(-margin, margin, color="#dddddd", linewidth=0)
    panel.axvline(0, color="black", linewidth=0.8)
    for height, row in enumerate(reversed(rows)):
        color = colors[row.study]
        if row.result is None:
            panel.text(0.99, height, "not known yet", color=color, transform=panel.get_yaxis_transform(), **_PENDING)
        else:
            draw_interval(panel, height, row.result, color)
        if row.paper is not None:
            panel.plot(row.paper, height, **PAPER)
    label_axes(panel, "Difference in DSC (points)", "")
    names = [f"{row.label}\n{row.patients} patients, {row.trainings} trainings" for row in reversed(rows)]
    panel.set_yticks(range(len(rows)), names, fontsize=7.5)
    panel.set_ylim(-0.6, len(rows) - 0.3)


def _shrinking(panel: Axes, gains: Sequence[Gain], colors: dict[str, str]) -> None:
    panel.axhline(0, color="black", linewidth=0.8)
    for gain in gains:
        color = colors.get(gain.study, "black")
        panel.plot([gain.baseline] * 2, gain.result.interval(0.95), color=color, linewidth=1.2)
        panel.plot(gain.baseline, gain.result.estimate, "o", color=color, markersize=6)
    for baseline, lead in _PAPER:
        panel.plot(baseline, lead, **PAPER)
    label_axes(panel, "DSC of the U-Net (%)", "Lead of dual-1111 (points)")
