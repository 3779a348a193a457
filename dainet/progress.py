"""Progress of long computations: a bar at a terminal, or calls to a listener."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from tqdm import tqdm

__all__ = ["progress", "reported_to", "silence"]

Item = TypeVar("Item")
Report = Callable[[str, int, int], None]  # description, finished, total

_silent: ContextVar[bool] = ContextVar("_silent", default=False)
_report: ContextVar[Report | None] = ContextVar("_report", default=None)


def progress(items: Iterable[Item], description: str, before: int = 0, count: int | None = None) -> Iterator[Item]:
    """Iterate with a bar at a terminal, without one elsewhere; `before` items were finished by an earlier run.

    A notebook kernel replaces sys.stderr and claims to be a terminal, even when it runs headless. There the log line of
    each epoch is enough, and a caller can listen with `reported_to`. `count` is the number of items where these cannot
    tell it.
    """
    watched = not _silent.get() and sys.__stderr__ is not None and sys.stderr is sys.__stderr__ and sys.stderr.isatty()
    report = _report.get()
    total = before + (len(items) if isinstance(items, Sized) else count or 0)
    bar = tqdm(items, desc=description, initial=before, total=total, disable=not watched)
    for finished, item in enumerate(bar, start=before):
        if report:
            report(description, finished, total)
        yield item


def silence() -> None:
    """Show no bars in this process, which is one of several at the same terminal."""
    _silent.set(True)


@contextmanager
def reported_to(report: Report) -> Iterator[None]:
    """Let every step of a long computation, within this context, call `report(description, finished, total)`."""
    token = _report.set(report)
    try:
        yield
    finally:
        _report.reset(token)
