"""Progress of long computations: a bar at a terminal, or calls to a listener."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from tqdm import tqdm

__all__ = ["progress", "reported_to"]

Item = TypeVar("Item")
Report = Callable[[str, int, int], None]  # description, finished, total

_report: ContextVar[Report | None] = ContextVar("_report", default=None)


def progress(items: Sequence[Item], description: str, before: int = 0) -> Iterator[Item]:
    """Iterate with a bar at a terminal, without one elsewhere; `before` items were finished by an earlier run.

    A notebook kernel replaces sys.stderr and claims to be a terminal, even when it runs headless. There the log line of
    each epoch is enough, and a caller can listen with `reported_to`.
    """
    watched = sys.__stderr__ is not None and sys.stderr is sys.__stderr__ and sys.stderr.isatty()
    report = _report.get()
    total = before + len(items)
    bar = tqdm(items, desc=description, initial=before, total=total, disable=not watched)
    for finished, item in enumerate(bar, start=before):
        if report:
            report(description, finished, total)
        yield item


@contextmanager
def reported_to(report: Report) -> Iterator[None]:
    """Let every step of a long computation, within this context, call `report(description, finished, total)`."""
    token = _report.set(report)
    try:
        yield
    finally:
        _report.reset(token)
