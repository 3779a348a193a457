"""What may leave the cache: stages that nothing refers to and that no process computes or has opened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from dainet.cache.folders import PARTIAL
from dainet.cache.in_use import stages_in_use
from dainet.cache.locks import stage_lock, try_lock
from dainet.cache.references import referred_keys
from dainet.cache.runs import Run, find_runs, lineage

__all__ = ["removable", "remove"]


def removable(folders: Iterable[Path], unfinished: bool = False) -> list[Run]:
    """Return the stages that nothing needs: no record in these folders, no other stage, no process, no workflow's job.

    Args:
        folders: see `dainet.cache.references.figure_folders`.
        unfinished: unfinished stages go too, unless a process computes them.

    Raises:
        InputError: a record that must be followed cannot be read; the message names it.
    """
    runs = find_runs()
    kept = {run.path for run in runs if not run.complete and not (unfinished and _free(run))}
    begun = {run.key for run in runs if run.record == {}} - {run.key for run in runs if run.complete}  # needs: unknown
    named = referred_keys(folders) | stages_in_use() | {run.key for run in runs if run.path in kept}
    needed = named | set(lineage(named - begun))
    return [run for run in runs if run.path not in kept and run.key not in needed and _free(run)]


def remove(run: Run) -> bool:
    """Delete a stage, unless a process holds its lock or has opened it by now; return whether it was deleted.

    A finished stage becomes an unfinished one first, so that half of it is never taken for the whole.
    """
    lock = try_lock(_lock_name(run))
    if lock is None:
        return False
    try:
        if run.key in stages_in_use():
            return False
        partial = run.path.with_name(f"{run.key}{PARTIAL}")
        if run.complete:
            _delete(partial)
            os.replace(run.path, partial)
        _delete(partial)
    finally:
        lock.release()
    return True


def _delete(folder: Path) -> None:
    """Delete a folder if there is one; of a link, the link alone, because what it leads to may be of use elsewhere."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _free(run: Run) -> bool:
    lock = try_lock(_lock_name(run))
    if lock is not None:
        lock.release()
    return lock is not None


def _lock_name(run: Run) -> str:
    return stage_lock(run.path.with_name(run.key))
