"""What drawings of networks share: colors, text and arrows on axes whose units are inches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

__all__ = ["BLUE", "EDGE", "GRAY", "ORANGE", "PINK", "Point", "arrow", "put_text"]

BLUE, ORANGE, GRAY, PINK = "#b9dcf2", "#fbd795", "#d9d9e0", "#e6c6df"  # told apart with any color vision
EDGE = "#444444"
Point = tuple[float, float]


def arrow(ax: Axes, corners: Sequence[Point], color: str, linestyle: str = "-", head: float = 9) -> None:
    """Draw a line along the corners that ends in an arrowhead of `head` points."""
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": head, "linewidth": 1.1, "joinstyle": "miter"}
    ax.add_patch(FancyArrowPatch(path=Path(list(corners)), color=color, linestyle=linestyle, **style))


def put_text(ax: Axes, x: float, y: float, text: str, size: float = 8, **style: Any) -> None:
    """Write text centered at a point, unless `style` (see `Axes.text`) says otherwise."""
    placed: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": size, "linespacing": 1.1}
    ax.text(x, y, text, **(placed | style))
