"""Locks between processes; the system releases those of a dead process, so a leftover lock file means nothing."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from dainet.cache.folders import runs_folder

__all__ = ["locks_folder", "named_lock", "stage_lock", "try_lock"]


def locks_folder() -> Path:
    """Return the folder of all locks, in the cache."""
    return runs_folder() / ".locks"


def named_lock(name: str) -> FileLock:
    """Return a lock between processes that is not held yet."""
    locks_folder().mkdir(parents=True, exist_ok=True)
    return FileLock(locks_folder() / name)


def try_lock(name: str) -> FileLock | None:
    """Acquire the named lock and return it, or return None while another process holds it."""
    lock = named_lock(name)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def stage_lock(done: Path) -> str:
    """Return the name of the lock that is held while the stage with this finished folder is computed or removed."""
    return f"{done.parent.name}-{done.name}"
