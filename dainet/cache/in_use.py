"""Which stages living processes have opened: notes that count as long as the lock of their process is held."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from filelock import BaseFileLock

from dainet.cache.folders import runs_folder
from dainet.cache.locks import locks_folder, try_lock

__all__ = ["listed_use", "note_use", "stages_in_use"]

_LIST = "DAINET_OPENED_STAGES"  # names the file of `listed_use`; processes inherit it


@dataclass
class _Notes:
    """The notes of one process on one cache; dropping them releases their lock."""

    owner: tuple[int, Path]
    path: Path
    lock: BaseFileLock | None
    keys: set[str] = field(default_factory=set)


_held: list[_Notes] = []


def note_use(key: str) -> None:
    """Note that this process has opened a stage, so that pruning leaves it as long as the process lives."""
    with suppress(OSError):  # on a full or protected disk results can still be read
        notes = _own_notes()
        if key not in notes.keys:
            with notes.path.open("a", encoding="utf-8") as handle:
                handle.write(f"{key}\n")
            notes.keys.add(key)
        if listed := os.environ.get(_LIST):
            with open(listed, "a", encoding="utf-8") as handle:
                handle.write(f"{key}\n")


@contextmanager
def listed_use() -> Iterator[Callable[[], list[str]]]:
    """List the stages that this process, and those that it starts within this context, open or compute.

    Gives the function that returns their keys so far, in the order of their first use.
    """
    with TemporaryDirectory() as folder:
        listed = Path(folder) / "keys"
        listed.touch()
        os.environ[_LIST] = str(listed)
        try:
            yield lambda: list(dict.fromkeys(listed.read_text(encoding="utf-8").split()))
        finally:
            del os.environ[_LIST]


def stages_in_use() -> set[str]:
    """Return the keys of all stages that living processes have opened; notes of dead ones are removed."""
    keys: set[str] = set()
    for path in locks_folder().glob("*.opened"):
        lock = try_lock(path.stem)
        if lock is None:
            with suppress(FileNotFoundError):  # that process has ended in this moment
                keys.update(path.read_text(encoding="utf-8").split())
            continue
        path.unlink(missing_ok=True)
        path.with_suffix("").unlink(missing_ok=True)
        lock.release()
    return keys


def _own_notes() -> _Notes:
    owner = os.getpid(), runs_folder().resolve()  # after a fork, both processes keep notes of their own
    for notes in _held:
        if notes.owner == owner:
            return notes
    for notes in [notes for notes in _held if notes.owner[0] == owner[0]]:
        _held.remove(notes)  # of a cache that this process has left
    stages_in_use()
    name = f"process-{uuid4().hex}"
    notes = _Notes(owner, locks_folder() / f"{name}.opened", try_lock(name))
    _held.append(notes)
    return notes
