"""One drawing style for any network: a box per stage in the order of execution, a row per resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor, nn

from dainet.reporting.charts import new_figure
from dainet.reporting.network_stages import KINDS, Stage, find_stages
from dainet.reporting.shapes import BLUE, EDGE, GRAY, ORANGE, PINK, Point, arrow, put_text
from dainet.reporting.style import in_style
from dainet.segmentation.networks import parameter_count

__all__ = ["draw_network"]

# Lengths are inches on the page.
_STEP, _LABEL, _APART = (
    0.39,
    0.58,
    0.05,
)  # between neighbors, and between neighbors in one row with labels; from a box's middle to its skips
_LANE, _BELOW, _GAP = 0.12, 0.27, 0.14  # between skips above a row, for a row's labels, and between rows
_LEFT, _TITLE, _LEGEND, _ENTRY = 0.45, 0.35, 0.3, 0.95  # an entry of the legend is wide on average
_LETTER, _SMALL, _NAME = 0.058, 6.5, 7.0  # width of a letter of the names; sizes of fonts
_SKIP, _GUIDE = "#7a7a7a", "#ececec"
_COLORS = dict(zip(KINDS, ("white", BLUE, ORANGE, "#bfe3c6", PINK, GRAY), strict=True))
_LABELS = {"attention": "attention, transformer", "resizing": "resizing, merging"}


@dataclass(frozen=True)
class _Box:
    """Place of a stage: middle, width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> Point:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> Point:
        return self.x + self.width / 2, self.y

    @property
    def top(self) -> float:
        return self.y + self.height / 2


@in_style
def draw_network(model: nn.Module, *inputs: Tensor, title: str = "") -> Figure:
    """Draw the stages of any network, read from one pass: see `dainet.reporting.network_stages` for the same as text.

    Boxes stand in the order of execution, in rows by resolution. The height of a box grows with the logarithm of the
    side of its output, its width with that of the channels; both and the parameters stand below it. Lines show what
    feeds what.

    Args:
        model: its weights and its mode stay as they are.
        inputs: as in `model(*inputs)`, [B, C, H, W] first; only their shapes count.
        title: above the drawing, next to the number of parameters.

    Raises:
        InputError: the first input is not a batch of images.
    """
    stages = find_stages(model, *inputs)
    boxes, roof = _place(stages)
    kinds = [kind for kind in KINDS if any(stage.kind == kind for stage in stages)]
    width, height = max(boxes[-1].x + _LABEL, 1 + _ENTRY * len(kinds)), max(roof.values()) + _TITLE
    figure = new_figure(width, height, _in_words(title, stages), layout=None)
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()
    headline = f"{title}, {parameter_count(model) / 1e6:.2f} M parameters".removeprefix(", ")
    put_text(ax, 0.08, height - 0.18, headline, 10, ha="left")
    for level, y in {stage.level: box.y for stage, box in zip(stages, boxes, strict=True)}.items():
        put_text(ax, 0.08, y, f"1/{2**level}" if level > 0 else f"{2**-level}", 8, ha="left")
    for stage, box in zip(stages, boxes, strict=True):
        _draw_stage(ax, stage, box, _name_room(stages))
    _draw_connections(ax, stages, boxes)
    _draw_legend(figure, kinds)
    return figure


def _place(stages: Sequence[Stage]) -> tuple[list[_Box], dict[int, float]]:
    """Place the boxes, and return how high each row reaches with the skips above it."""
    lanes, xs = _lanes(stages), _columns(stages)
    y, middles, roof = _LEGEND + _name_room(stages), {}, {}
    for level in sorted({stage.level for stage in stages}, reverse=True):
        tallest = max(_extent(stage)[1] for stage in stages if stage.level == level)
        used = [lane for (source, _), lane in lanes.items() if stages[source].level == level]
        middles[level] = y + _BELOW + tallest / 2
        roof[level] = middles[level] + tallest / 2 + _LANE * (1 + max(used, default=-1))
        y = roof[level] + _GAP
    return [_Box(x, middles[stage.level], *_extent(stage)) for x, stage in zip(xs, stages, strict=True)], roof


def _extent(stage: Stage) -> tuple[float, float]:
    return 0.06 + 0.036 * math.log2(max(2, stage.channels)), 0.08 * math.log2(2 * max(1, *stage.size))


def _columns(stages: Sequence[Stage]) -> list[float]:
    """Return the middles of the boxes: each right of the one before, and clear of the one before in its row."""
    xs: list[float] = []
    last: dict[int, float] = {}
    for stage in stages:
        xs.append(max(xs[-1] + _STEP if xs else _LEFT + _LABEL / 2, last.get(stage.level, 0) + _LABEL))
        last[stage.level] = xs[-1]
    return xs


def _lanes(stages: Sequence[Stage]) -> dict[tuple[int, int], int]:
    """Give every skip (source, target) a lane above the row of its source, short ones the lower lanes."""
    skips = [(i, j) for j, stage in enumerate(stages) for i in stage.sources if i != j - 1]
    lanes: dict[tuple[int, int], int] = {}
    for i, j in sorted(skips, key=lambda skip: skip[1] - skip[0]):
        row = [(a, b, lane) for (a, b), lane in lanes.items() if stages[a].level == stages[i].level]
        taken = {lane for a, b, lane in row if a < j and i < b}
        lanes[i, j] = next(lane for lane in range(len(skips)) if lane not in taken)
    return lanes


def _name_room(stages: Sequence[Stage]) -> float:
    """Return the height of the longest name, which is written at 45 degrees."""
    return max(len(stage.name) for stage in stages) * _LETTER * math.sqrt(0.5) + 0.12


def _draw_stage(ax: Axes, stage: Stage, box: _Box, name_room: float) -> None:
    """Draw the box, its size and parameters below it, and its name at the lower edge."""
    corner = box.x - box.width / 2, box.y - box.height / 2
    style: dict[str, Any] = {"facecolor": _COLORS[stage.kind], "edgecolor": EDGE, "linewidth": 0.8, "zorder": 3}
    ax.add_patch(Rectangle(corner, box.width, box.height, **style))
    height, width = stage.size
    side = f"{height}²" if height == width else f"{height}×{width}"
    numbers = f"{stage.channels} × {side}\n{_short(stage.parameters)}"
    put_text(ax, box.x, corner[1] - 0.03, numbers, _SMALL, va="top", zorder=4)
    foot = _LEGEND + name_room
    ax.plot([box.x, box.x], [foot, corner[1]], color=_GUIDE, linewidth=0.8, zorder=0)
    slanted: dict[str, Any] = {"rotation": 45, "rotation_mode": "anchor", "ha": "right", "va": "top"}
    put_text(ax, box.x, foot, stage.name, _NAME, **slanted)


def _draw_connections(ax: Axes, stages: Sequence[Stage], boxes: Sequence[_Box]) -> None:
    """Draw lines between neighbors directly, all others through their lane above the row of their source."""
    lanes = _lanes(stages)
    for j, stage in enumerate(stages):
        skips = [i for i in stage.sources if (i, j) in lanes]
        for i in stage.sources:
            a, b = boxes[i], boxes[j]
            if i not in skips:
                arrow(ax, _direct(a, b), EDGE, head=6)
                continue
            row = max(box.top for box, other in zip(boxes, stages, strict=True) if other.level == stages[i].level)
            shift = 0.07 * (skips.index(i) - (len(skips) - 1) / 2)
            arrow(ax, _detour(a, b, row + _LANE * (lanes[i, j] + 0.75), shift), _SKIP, head=6)


def _direct(a: _Box, b: _Box) -> list[Point]:
    """Lead from a box to its neighbor; lines arrive left and leave right of the middle, where skips begin and end."""
    if a.y == b.y:
        return [a.right, b.left]
    arrival, departure = b.x - 0.32 * b.width, a.x + 0.32 * a.width
    return [a.right, (arrival, a.y), (arrival, b.top)] if b.y < a.y else [(departure, a.top), (departure, b.y), b.left]


def _detour(a: _Box, b: _Box, lane: float, shift: float) -> list[Point]:
    """Lead from a box through a lane above its row to a later one, into its top or, if it stands higher, its left."""
    start, end = a.x + min(_APART, a.width / 4), b.x - min(_APART, b.width / 4) + shift
    if b.y <= a.y:
        return [(start, a.top), (start, lane), (end, lane), (end, b.top)]
    end = b.left[0] - 0.07 + shift / 2
    return [(start, a.top), (start, lane), (end, lane), (end, b.y), b.left]


def _draw_legend(figure: Figure, kinds: Sequence[str]) -> None:
    handles = [Patch(facecolor=_COLORS[kind], edgecolor=EDGE, label=_LABELS.get(kind, kind)) for kind in kinds]
    style: dict[str, Any] = {"fontsize": 8, "frameon": False, "columnspacing": 1.2, "borderaxespad": 0.2}
    figure.legend(handles=handles, loc="lower center", ncols=len(kinds), **style)


def _in_words(title: str, stages: Sequence[Stage]) -> str:
    kinds = [f"{sum(stage.kind == kind for stage in stages)} {_LABELS.get(kind, kind)}" for kind in KINDS[1:]]
    counted = "; ".join(text for text in kinds if not text.startswith("0 "))
    sizes = [stage.size[0] for stage in stages]
    return f"Drawing of the stages of {title or 'a network'}: {counted}; between {max(sizes)} and {min(sizes)} px"


def _short(parameters: int) -> str:
    for unit, one in (("M", 1e6), ("k", 1e3)):
        if parameters >= 0.9995 * one:
            return f"{parameters / one:.{0 if parameters >= 99.95 * one else 1}f} {unit}"
    return str(parameters or "")
