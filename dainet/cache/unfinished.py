"""What the cache knows about a stage that is not finished: who computes it, and how far its training is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dainet.cache.folders import PARTIAL
from dainet.cache.locks import stage_lock, try_lock
from dainet.cache.records import read_record
from dainet.cache.resume import finished_epochs
from dainet.cache.store import RECORD
from dainet.errors import InputError

__all__ = ["Unfinished", "unfinished"]


@dataclass(frozen=True)
class Unfinished:
    """How far a stage is; `computed` says whether a living process computes it.

    `epochs` is the number after which it can be resumed, and `total` what its settings ask for, both 0 for a stage
    without epochs.
    """

    computed: bool
    epochs: int
    total: int


def unfinished(done: Path) -> Unfinished:
    """Look how far the stage with this finished folder is, without waiting for the process that computes it."""
    lock = try_lock(stage_lock(done))
    if lock is not None:
        lock.release()
    partial = done.with_name(f"{done.name}{PARTIAL}")
    return Unfinished(lock is None, finished_epochs(partial), _epochs(partial / RECORD))


def _epochs(record: Path) -> int:
    """Return how many epochs an unfinished stage is to have; a killed process may have left no readable record."""
    try:
        return int(read_record(record)["settings"].get("epochs", 0))
    except (InputError, KeyError):
        return 0
