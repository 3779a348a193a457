"""What a lesson needs to start, and to say whether an answer is right."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from dainet.settings import Settings, load_settings

__all__ = ["check", "start"]


def start(profile: str, overrides: Mapping[str, Any]) -> Settings:
    """Load the settings of a lesson and let the package's log lines appear in the cell."""
    logger = logging.getLogger("dainet")
    logger.handlers[:] = [logging.StreamHandler(sys.stdout)]
    logger.setLevel(logging.INFO)
    return load_settings(profile, overrides)


def check(answer: Any, right: Callable[[Any], bool], hint: str) -> None:
    """Say whether the answer to an exercise is right, or give the hint; None counts as not answered yet."""
    if answer is None:
        print("not answered yet")
    else:
        print("right" if right(answer) else f"not yet: {hint}")
