"""Rows of differences with their intervals, one below the other, as forest plots of plans show them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from dainet.compare.analysis import Difference
from dainet.reporting.charts import label_axes

__all__ = ["PAPER", "ROW_INCHES", "IntervalRow", "draw_interval", "draw_intervals", "fold_label"]

ROW_INCHES = 0.42
PAPER: dict[str, Any] = {"marker": "D", "markerfacecolor": "white", "color": "black", "markersize": 5, "linestyle": ""}


@dataclass(frozen=True)
class IntervalRow:
    """One difference in a forest plot; `paper` is the difference that a paper printed."""

    label: str
    result: Difference
    color: str
    paper: float | None = None


def draw_intervals(panel: Axes, rows: Sequence[IntervalRow], margin: float) -> None:
    """Draw differences from the first row at the top: 95 % interval (thin), 90 % (thick), margin (gray band)."""
    panel.axvspan(-margin, margin, color="#dddddd", linewidth=0)
    panel.axvline(0, color="black", linewidth=0.8)
    for height, row in enumerate(reversed(rows)):
        draw_interval(panel, height, row.result, row.color)
        if row.paper is not None:
            panel.plot(row.paper, height, **PAPER)
    label_axes(panel, "Difference in DSC (points)", "")
    panel.set_yticks(range(len(rows)), [row.label for row in reversed(rows)], fontsize=8, parse_math=False)
    panel.set_ylim(-0.6, len(rows) - 0.3)


def draw_interval(panel: Axes, height: int, result: Difference, color: str) -> None:
    """Draw one difference at this height: 95 % interval (thin), 90 % (thick), and a dot."""
    for level, width in ((0.95, 1.2), (0.90, 4)):
        panel.plot(result.interval(level), [height] * 2, color=color, linewidth=width, solid_capstyle="butt")
    panel.plot(result.estimate, height, "o", color=color, markersize=6)


def fold_label(text: str, width: int = 34) -> str:
    """Break a long label into lines of about `width` characters, after a space, colon, dot, hyphen or underscore."""
    lines = [""]
    for piece in re.findall(r"[^\s:._-]+[\s:._-]*|[\s:._-]+", text):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)
