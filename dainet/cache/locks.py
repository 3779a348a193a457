"""Locks between processes; the system releases those of a dead process, so a leftover lock file means nothing."""

from __future__ import annotations

from filelock import FileLock, Timeout

from dainet.cache.folders import runs_folder

__all__ = ["named_lock", "try_lock"]


def named_lock(name: str) -> FileLock:
    """Return a lock between processes that is not held yet."""
    locks = runs_folder() / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / name)


def try_lock(name: str) -> FileLock | None:
    """Acquire the named lock and return it, or return None while another process holds it."""
    lock = named_lock(name)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock
