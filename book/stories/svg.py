"""Parts of a picture in SVG, and the picture of a story, which plays its steps and then shows them all."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from html import escape
from io import BytesIO

import matplotlib as mpl
import numpy as np
from PIL import Image

__all__ = [
    *("ACCENT", "GRAY", "INK", "ORANGE", "WIDTH"),
    *("Step", "Story", "arrow", "box", "circle", "colored", "line", "picture", "story_svg", "text"),
]

WIDTH = 600  # of every story; letters of 16 units are legible on a phone of 390 px
INK, GRAY, ACCENT, ORANGE = "#1d2733", "#6b7783", "#0072b2", "#d55e00"
_GROUND = "#fbfbf9"
_SECONDS, _ROUNDS, _AHEAD = 3.5, 2, 0.1  # of a step; opacity of steps to come
_FONT = "'Source Sans 3','Segoe UI','Helvetica Neue',Arial,'Liberation Sans',sans-serif"


@dataclass(frozen=True)
class Step:
    """One step of a story: a sentence or two for its page, and the parts that it adds to the picture."""

    words: str
    parts: str


@dataclass(frozen=True)
class Story:
    """A picture that is built up in steps. `alt` says what the complete picture shows, `height` is in its units."""

    name: str
    title: str
    alt: str
    height: int
    steps: tuple[Step, ...]


def text(x: float, y: float, words: str, size: int = 16, color: str = INK, anchor: str = "start", bold: int = 0) -> str:
    """Write words; `anchor` is start, middle or end."""
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}" text-anchor="{anchor}"{weight}'
    return f"<text {place}>{escape(words)}</text>"


def line(x1: float, y1: float, x2: float, y2: float, color: str = INK, width: float = 1.5, dash: str = "") -> str:
    """Draw a line; `dash` is an SVG dash pattern."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{color}" stroke-width="{width:g}"{dashed}/>'


def arrow(x1: float, y1: float, x2: float, y2: float, color: str = INK) -> str:
    """Draw a line with a head at its end, to the right or downward."""
    head = f"M{x2 - 6:g},{y2 - 4:g}l6,4l-6,4" if x2 > x1 else f"M{x2 - 4:g},{y2 - 6:g}l4,6l4,-6"
    return line(x1, y1, x2, y2, color) + f'<path d="{head}" fill="none" stroke="{color}" stroke-width="1.5"/>'


def box(
    x: float, y: float, width: float, height: float, fill: str = "none", stroke: str = "none", edge: float = 1
) -> str:
    """Draw a rectangle; `edge` is the width of its line."""
    size = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect {size} fill="{fill}" stroke="{stroke}" stroke-width="{edge:g}"/>'


def circle(x: float, y: float, radius: float, fill: str) -> str:
    """Draw a dot."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}"/>'


def colored(values: np.ndarray, highest: float = 1.0) -> np.ndarray:
    """Return colors [H, W, 3] uint8 of values [H, W] from 0 to `highest`, those of matplotlib's viridis."""
    rgba = mpl.colormaps["viridis"](np.clip(values / highest, 0, 1))
    return (255 * rgba[..., :3]).round().astype(np.uint8)


def picture(pixels: np.ndarray, x: float, y: float, side: float) -> str:
    """Embed a square picture: gray [S, S] or colors [S, S, 3], uint8; pixels stay sharp."""
    png = BytesIO()
    Image.fromarray(pixels).save(png, "png", optimize=True)
    place = f'x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" style="image-rendering:pixelated"'
    return f'<image {place} href="data:image/png;base64,{b64encode(png.getvalue()).decode()}"/>'


def story_svg(story: Story) -> str:
    """Return the picture of a story as one SVG without links.

    It shows all steps first, so that a page that is printed at once has them. Then they appear one after the other,
    twice, and it rests with all of them, as it does in print and for readers who want no motion.
    """
    count = len(story.steps)
    names = "".join(f'<g class="step s{number}">{step.parts}</g>\n' for number, step in enumerate(story.steps))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {story.height}" width="{WIDTH}" '
        f'height="{story.height}" role="img" aria-labelledby="{story.name}-t {story.name}-d" font-family="{_FONT}">\n'
        f'<title id="{story.name}-t">{escape(story.title)}</title>\n'
        f'<desc id="{story.name}-d">{escape(story.alt)}</desc>\n'
        f"<style>{_motion(count)}</style>\n"
        f'<rect width="{WIDTH}" height="{story.height}" rx="6" fill="{_GROUND}"/>\n{names}</svg>\n'
    )


def _motion(count: int) -> str:
    """Return the rules by which steps appear; the complete picture is held as long as two steps."""
    whole = count + 2
    rules = [f".step{{animation:{_SECONDS * whole:g}s linear {_SECONDS:g}s {_ROUNDS}}}"]
    for number in range(1, count):
        start = 100 * number / whole
        frames = f"0%,{start:.1f}%{{opacity:{_AHEAD}}}{start + 2:.1f}%,100%{{opacity:1}}"
        rules.append(f"@keyframes k{number}{{{frames}}}.s{number}{{animation-name:k{number}}}")
    rules.append("@media print,(prefers-reduced-motion:reduce){.step{animation:none}}")
    return "".join(rules)
