"""Timing of several pieces of work in turn in one process, and the limits of the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import torch

from dainet.reporting.costs import interleaved
from dainet.reporting.work import large_product

__all__ = [
    "Comparison",
    "PeakMemory",
    "apart",
    "compare",
    "copy_limit",
    "product_limit",
]

_COPIED_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Comparison:
    """One row of the table: median seconds for the same work, and whether the results agree.

    `ratio` is the median over rounds of peer / ours, each pair measured one directly after the other. `limit` is the
    time of the same floating-point operations as one large matrix product, or of the same bytes as one copy; None if
    neither is the bottleneck.
    """

    what: str
    against: str
    ours: float
    peer: float
    ratio: float
    goal: float
    limit: float | None
    agreement: str


def compare(
    what: str,
    against: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    goal: float,
    agreement: str,
    rounds: int,
    limit: tuple[Callable[[], object], float] | None = None,
) -> Comparison:
    """Time both and the limit in turn; `limit` is a piece of work and how often ours contains it."""
    works = {"ours": ours, "peer": peer} | ({"limit": limit[0]} if limit else {})
    times = interleaved(works, rounds)
    median = times.median()
    ratio = float((times["peer"] / times["ours"]).median())
    bound = float(median["limit"]) * limit[1] if limit else None
    return Comparison(what, against, float(median["ours"]), float(median["peer"]), ratio, goal, bound, agreement)


def product_limit(flops: float, dtype: torch.dtype | None) -> tuple[Callable[[], object], float]:
    """Return one large matrix product on the CPU, and how many of them have `flops` operations."""
    product, operations = large_product(torch.device("cpu"), dtype or torch.float32)
    return product, flops / operations


def copy_limit(size: float) -> tuple[Callable[[], object], float]:
    """Return one large copy in memory, and how many of them read and write `size` bytes in total."""
    source = torch.zeros(_COPIED_BYTES, dtype=torch.uint8)
    target = torch.empty_like(source)
    return lambda: target.copy_(source), size / (2 * _COPIED_BYTES)


def apart(module: str, *words: object) -> Any:
    """Run a module of the benchmarks in a process of its own; return what it prints, as JSON."""
    command = [sys.executable, "-m", module, *map(str, words)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


class PeakMemory:
    """Measure the largest growth of the process's own memory, `mib`, while the block runs; Linux only.

    Pages of mapped files do not count: the system reclaims them when it needs room.
    """

    def __enter__(self) -> PeakMemory:
        self.mib, self._start, self._over = 0.0, _own_mib(), Event()
        self._thread = Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            self.mib = max(self.mib, _own_mib() - self._start)


def _own_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 2**10  # /proc counts in KiB
