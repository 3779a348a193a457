"""Locks between processes; the system takes them from a process that dies, so a leftover lock file means nothing."""

from __future__ import annotations

from filelock import FileLock, Timeout

from dainet.cache.folders import runs_folder

__all__ = ["named_lock", "try_lock"]


def named_lock(name: str) -> FileLock:
    """A lock between processes, not yet held."""
    locks = runs_folder() / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / name)


def try_lock(name: str) -> FileLock | None:
    """The named lock, held by this process from now on, or None while another one holds it."""
    lock = named_lock(name)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock
