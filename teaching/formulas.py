"""LaTeX formulas as pictures inside a page, drawn by matplotlib, so that no script and no network is needed."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache
from html import escape
from io import BytesIO

from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image

from dainet.errors import InputError

__all__ = ["formula_image"]

_POINTS = 100  # size of the font; mathtext rounds lengths to whole points, and this makes that a hundredth of an em


@lru_cache
def formula_image(latex: str, display: bool = False) -> str:
    r"""Return an `<img>` of a formula such as `\frac{a}{b}`, sized and placed on the line in em of the text around it.

    The alternative text is the formula's source. With `display`, fractions are as large as on a line of their own.

    Raises:
        InputError: matplotlib's mathtext does not know a command of the formula.
    """
    picture = BytesIO()
    font = FontProperties(size=_POINTS, math_fontfamily="cm")
    try:
        depth = math_to_image(f"${_for_mathtext(latex, display)}$", picture, prop=font, dpi=72, format="svg")
    except ValueError as error:
        raise InputError(
            f"the formula {latex!r} cannot be drawn ({str(error).strip().splitlines()[-1]}); use commands that "
            "matplotlib's mathtext knows"
        ) from error
    svg = picture.getvalue()
    [height] = re.findall(rb'<svg[^>]*height="([\d.]+)pt"', svg)
    style = f"height: {float(height) / _POINTS:.3f}em; vertical-align: {-depth / _POINTS:.3f}em"
    source = f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
    return f'<img class="formula" style="{style}" alt="{escape(latex)}" src="{source}">'


def _for_mathtext(latex: str, display: bool) -> str:
    r"""Write `\tfrac12` as `\frac{1}{2}`, large fractions as `\dfrac`, and the formula on one line."""
    line = re.sub(r"\\(t?frac)\s*(\d)\s*(\d)", r"\\\1{\2}{\3}", " ".join(latex.split()))
    if display:
        line = line.replace(r"\frac", r"\dfrac")
    return line.replace(r"\tfrac", r"\frac")
