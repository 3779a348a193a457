"""A progress bar where someone watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

__all__ = ["progress"]

Item = TypeVar("Item")


def progress(items: Iterable[Item], description: str) -> Iterable[Item]:
    """Iterate with a bar at a terminal, without one elsewhere.

    A notebook kernel replaces sys.stderr and calls itself a terminal, also when nobody looks; there the log line of
    each epoch is enough.
    """
    watched = sys.__stderr__ is not None and sys.stderr is sys.__stderr__ and sys.stderr.isatty()
    return tqdm(items, desc=description, disable=not watched)
