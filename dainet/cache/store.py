"""The stage cache: settings and inputs give a key, and the key names a folder that is either finished or absent."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from dainet.cache.atomic import write_complete
from dainet.cache.folders import PARTIAL, StageError, explained_disk, runs_folder
from dainet.cache.in_use import note_use
from dainet.cache.locks import named_lock, stage_lock, try_lock
from dainet.cache.records import hash_file, read_record, write_record
from dainet.errors import DainetError, InputError, MemoryLackError, reason, why_unreadable
from dainet.places import repository_root

__all__ = ["RECORD", "UNFINISHED", "StageMissingError", "StageResult", "finished_only", "run_stage", "times_log"]

log = logging.getLogger(__name__)
times_log = log.getChild("times")  # of its own, because outputs of notebooks must not change from run to run
_BEGIN = perf_counter()  # of this process
RECORD = "provenance.json"
UNFINISHED = "unfinished"  # subfolder of an unfinished stage; removed when the stage is finished
_may_build = ContextVar("_may_build", default=True)
_Content = TypeVar("_Content")


class StageMissingError(DainetError):
    """A stage that is not finished was asked for where nothing may be computed; `done` is its folder when it is."""

    def __init__(self, done: Path) -> None:
        super().__init__(f"{done.parent.name} has not been computed with these settings")
        self.done = done


@dataclass(frozen=True)
class StageResult:
    """A finished stage: its name, the key of everything it depends on, and the folder that holds its files."""

    stage: str
    key: str
    path: Path

    def record(self) -> dict[str, Any]:
        """Read what made the stage: settings, input keys, versions, code state."""
        return read_record(self.path / RECORD)

    def read(self, name: str, reader: Callable[[Path], _Content]) -> _Content:
        """Return what `reader` makes of the stage's file with this name.

        Raises:
            StageError: the reader fails, because the content of the file has changed, or may not be read.
            MemoryLackError: the content does not fit into memory.
        """
        path = self.path / name
        try:
            return reader(path)
        except MemoryError as error:
            told = f"{self.stage} {self.key}: {name} does not fit into memory; close other programs"
            raise MemoryLackError(told) from error
        except PermissionError as error:
            told = f"{self.stage} {self.key}: {name} cannot be read {why_unreadable(error, path)}"
            raise StageError(told) from error
        except Exception as error:  # damaged files make numpy, zipfile and safetensors raise nearly anything
            raise _damaged(self.path, f"{name} cannot be read ({reason(error, path)})") from error


def run_stage(
    stage: str,
    version: int,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    build: Callable[[Path], None],
    resumes: bool = False,
) -> StageResult:
    """Return the finished stage with this key, building it first where it is missing.

    `build` writes into `<key>.partial`; a finished folder is renamed to `<key>` in one step, after its provenance
    record. A folder without ".partial" was therefore complete once; whether it was damaged since then is seen by the
    names and sizes of its files. A change that keeps the size is seen by `dainet verify` alone.

    The record also holds what differs from run to run and is no part of the key: `seconds` of wall time,
    `peak_memory_mib` of this process's GPUs (none without one), and `resumed`, whether an earlier process had begun
    the stage. `seconds` are then those of the last process only. Records of older versions have none of the three.

    Args:
        stage: folder name under runs/.
        version: raise it when the stage's code changes its results.
        settings: JSON-like settings of this stage, without paths.
        inputs: name -> key or hash of everything read.
        build: writes the files.
        resumes: a failed build resumes from what it has left in the subfolder `UNFINISHED`, which is removed at the
            end; otherwise it leaves nothing.

    Raises:
        StageError: the folder of the runs is full or protected, or the finished stage is damaged.
        StageMissingError: the stage is not finished, within `finished_only`.
    """
    key = _key(stage, version, settings, inputs)
    done = runs_folder() / stage / key
    record = {"stage": stage, "stage_version": version, "settings": dict(settings), "inputs": dict(inputs)}
    with explained_disk(runs_folder(), "another folder in DAINET_RUNS"):
        if _may_build.get() or os.path.lexists(done):
            _say_where()
            note_use(key)
        if not os.path.lexists(done):
            if not _may_build.get():
                raise StageMissingError(done)
            with _only_one(done):
                if not os.path.lexists(done):  # another process may have finished it meanwhile
                    log.info("%s: computing %s", stage, key)
                    _build(done, record, build, resumes)
    _check(done, record)
    shutil.rmtree(done / UNFINISHED, ignore_errors=True)  # also what a process killed at the very end has left
    return StageResult(stage, key, done)


@contextmanager
def finished_only() -> Iterator[None]:
    """Open finished stages only, within this context; a missing one raises `StageMissingError` and is not built."""
    token = _may_build.set(False)
    try:
        yield
    finally:
        _may_build.reset(token)


def _kept_files(folder: Path) -> dict[str, Path]:
    """List every file that stays when the stage is finished, except its record."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path for name, path in files.items() if name != RECORD and not name.startswith(f"{UNFINISHED}/")}


def _check(done: Path, asked: Mapping[str, Any]) -> None:
    """Compare a finished stage's record with what was asked for, and names and sizes of its files with the record.

    Records of older versions have no sizes.
    """
    try:
        found = read_record(done / RECORD)
    except InputError as error:
        raise _damaged(done, str(error)) from error
    if any(found.get(name) != value for name, value in json.loads(json.dumps(dict(asked))).items()):
        raise _damaged(done, f"{RECORD} is the record of another stage")
    if "files" not in found:
        raise _damaged(done, f"{RECORD} is the record of an unfinished stage")
    for name in found["files"]:
        path, expected = done / name, found.get("sizes", {}).get(name)
        if not path.is_file():
            raise _damaged(done, f"{name} is missing")
        size = path.stat().st_size
        if expected not in (None, size):
            raise _damaged(done, f"{name} has {size} bytes, expected {expected}")


def _damaged(done: Path, what: str) -> StageError:
    return StageError(
        f"{done.parent.name} {done.name}: {what}; copy the stage again, or delete {done} to have it computed again"
    )


def _say_where() -> None:
    """Name the folder of results where it is new and no repository shows where to look for it."""
    if not runs_folder().exists() and not (repository_root() / "notebooks").is_dir():
        log.info("results are kept in %s; DAINET_RUNS names another folder", runs_folder())


@contextmanager
def _only_one(done: Path) -> Iterator[None]:
    """Hold the stage's lock, waiting for another process that computes the same stage."""
    name = stage_lock(done)
    lock = try_lock(name)
    if lock is None:
        log.info("%s: waiting for another process that computes %s", done.parent.name, done.name)
        lock = named_lock(name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(done: Path, record: Mapping[str, Any], build: Callable[[Path], None], resumes: bool) -> None:
    from dainet.device import watch_memory  # imports torch, which takes seconds and is not needed to open a stage

    partial = done.with_name(f"{done.name}{PARTIAL}")
    _clear(partial, resumes)
    resumed, start, peak_mib = (partial / UNFINISHED).is_dir(), perf_counter(), watch_memory()
    partial.mkdir(parents=True, exist_ok=True)
    try:
        write_complete(partial / RECORD, json.dumps(dict(record)))  # what it is to become
        build(partial)
        files = _kept_files(partial)
        hashes = {name: hash_file(path) for name, path in files.items()}
        sizes = {name: path.stat().st_size for name, path in files.items()}
        seconds = round(perf_counter() - start, 3)
        cost = {"seconds": seconds, "peak_memory_mib": peak_mib(), "resumed": resumed}
        write_record(partial / RECORD, {**record, "files": hashes, "sizes": sizes, **cost})
        os.replace(partial, done)
    except BaseException as error:
        if not resumes:
            _remove(partial)
        elif isinstance(error, KeyboardInterrupt):
            log.warning("%s: interrupted; start it again to resume after its last saved epoch", done.parent.name)
        raise
    share = 100 * seconds / (perf_counter() - _BEGIN)
    text = "%s: finished %s in %.1f s, %.0f %% of the time since this process began"
    times_log.info(text, done.parent.name, done.name, seconds, share)


def _clear(partial: Path, resumes: bool) -> None:
    """Remove what a killed process has left, except the states from which it resumes."""
    if not partial.is_dir():
        partial.unlink(missing_ok=True)  # a link to nothing
        return
    for path in partial.iterdir():
        if not (resumes and path.name == UNFINISHED and path.is_dir()):
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder as far as possible; nothing may be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _key(stage: str, version: int, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    text = json.dumps([stage, version, dict(settings), dict(inputs)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
