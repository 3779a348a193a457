"""Start of a lesson, and checks of answers to its exercises."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from IPython import get_ipython
from IPython.core.pylabtools import print_figure
from matplotlib.figure import Figure

from dainet.settings import Settings, load_settings

__all__ = ["check", "start"]


def start(profile: str, overrides: Mapping[str, Any]) -> Settings:
    """Load the settings of a lesson; log lines appear in the cell, and figures are displayed with alternative text."""
    logger = logging.getLogger("dainet")
    logger.handlers[:] = [logging.StreamHandler(sys.stdout)]
    logger.setLevel(logging.INFO)
    if shell := get_ipython():
        shell.display_formatter.formatters["image/png"].for_type(Figure, _described_png)
    return load_settings(profile, overrides)


def _described_png(figure: Figure) -> tuple[str, dict[str, str]]:
    """PNG in base64 and its metadata: the figure's label is the alternative text."""
    alt = str(figure.get_label())
    return print_figure(figure, "png", base64=True), {"alt": alt} if alt else {}


def check(answer: Any, right: Callable[[Any], bool], hint: str) -> None:
    """Print whether the answer to an exercise is right, or the hint; None counts as not answered yet."""
    if answer is None:
        print("not answered yet")
    else:
        print("right" if right(answer) else f"not yet: {hint}")
