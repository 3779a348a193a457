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
from typing import Any

from dainet.cache.atomic import write_complete
from dainet.cache.folders import explained_disk, runs_folder
from dainet.cache.locks import named_lock, try_lock
from dainet.cache.records import hash_file, write_record
from dainet.errors import DainetError

__all__ = ["RECORD", "UNFINISHED", "StageMissingError", "StageResult", "finished_only", "run_stage"]

log = logging.getLogger(__name__)
RECORD = "provenance.json"
UNFINISHED = "unfinished"  # subfolder of an unfinished stage; removed when the stage is finished
_may_build = ContextVar("_may_build", default=True)


class StageMissingError(DainetError):
    """A stage that is not finished was asked for where nothing may be computed; the message names it."""


@dataclass(frozen=True)
class StageResult:
    """A finished stage: its name, the key of everything it depends on, and the folder that holds its files."""

    stage: str
    key: str
    path: Path

    def record(self) -> dict[str, Any]:
        """Read what made the stage: settings, input keys, versions, code state."""
        return json.loads((self.path / RECORD).read_text(encoding="utf-8"))


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
    record. A folder without ".partial" is therefore complete.

    Args:
        stage: folder name under runs/.
        version: raise it when the stage's code changes its results.
        settings: JSON-like settings of this stage, without paths.
        inputs: name -> key or hash of everything read.
        build: writes the files.
        resumes: a failed build resumes from the files it has left; otherwise it leaves none. Files that matter only
            until the stage is finished belong in the subfolder `UNFINISHED`, which is removed at the end.

    Raises:
        StageError: the folder of the runs is full or protected.
        StageMissingError: the stage is not finished, within `finished_only`.
    """
    key = _key(stage, version, settings, inputs)
    done = runs_folder() / stage / key
    record = {"stage": stage, "stage_version": version, "settings": dict(settings), "inputs": dict(inputs)}
    with explained_disk(runs_folder(), "another folder in DAINET_RUNS"):
        if not done.exists():
            if not _may_build.get():
                raise StageMissingError(f"{stage} has not been computed with these settings")
            with _only_one(done):
                if not done.exists():  # another process may have finished it meanwhile
                    log.info("%s: computing %s", stage, key)
                    _build(done, record, build, resumes)
    return StageResult(stage, key, done)


@contextmanager
def finished_only() -> Iterator[None]:
    """Open finished stages only, within this context; a missing one raises `StageMissingError` and is not built."""
    token = _may_build.set(False)
    try:
        yield
    finally:
        _may_build.reset(token)


def _digests(folder: Path) -> dict[str, str]:
    """Compute the SHA-256 of every file that stays when the stage is finished, except its record."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    kept = {name: path for name, path in files.items() if name != RECORD and not name.startswith(f"{UNFINISHED}/")}
    return {name: hash_file(path) for name, path in kept.items()}


@contextmanager
def _only_one(done: Path) -> Iterator[None]:
    """Hold the stage's lock, waiting for another process that computes the same stage."""
    name = f"{done.parent.name}-{done.name}"
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
    partial = done.with_name(f"{done.name}.partial")
    if not resumes:
        shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
    partial.mkdir(parents=True, exist_ok=True)
    try:
        write_complete(partial / RECORD, json.dumps(dict(record)))  # what it is to become
        build(partial)
        write_record(partial / RECORD, {**record, "files": _digests(partial)})
        os.replace(partial, done)
        shutil.rmtree(done / UNFINISHED, ignore_errors=True)
    except BaseException as error:
        if not resumes:
            shutil.rmtree(partial, ignore_errors=True)
        elif isinstance(error, KeyboardInterrupt):
            log.warning(
                "%s: interrupted; run the same command again to resume after the last finished epoch", done.parent.name
            )
        raise


def _key(stage: str, version: int, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    text = json.dumps([stage, version, dict(settings), dict(inputs)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
