"""The stage cache: settings and inputs give a key, a key gives a folder that is either finished or not there."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import dainet
from dainet.cache.atomic import write_complete

__all__ = [
    "RECORD",
    "UNFINISHED",
    "StageError",
    "StageMissing",
    "StageResult",
    "explained_disk",
    "finished_only",
    "hash_file",
    "hash_files",
    "named_lock",
    "provenance",
    "repository_root",
    "run_stage",
    "runs_folder",
    "write_record",
]

log = logging.getLogger(__name__)
RECORD = "provenance.json"
UNFINISHED = "unfinished"  # part of a stage in the making that is removed when the stage is finished
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PROTECTED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)


_may_build = ContextVar("_may_build", default=True)


class StageMissing(LookupError):
    """A stage that is not finished was asked for where nothing may be computed; the message names it."""


class StageError(ValueError):
    """A folder for results cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class StageResult:
    """A finished stage: its name, the key of everything it depends on, and the folder that holds its files."""

    stage: str
    key: str
    path: Path

    def record(self) -> dict[str, Any]:
        """What made it: settings, input keys, versions, code state."""
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
        resumes: a build that failed goes on from what it left; otherwise nothing half-written stays. What only
            matters until then belongs into the folder `UNFINISHED` below, which is removed at the end.

    Raises:
        StageError: the folder of the runs is full or protected.
        StageMissing: it is not finished, inside `finished_only`.
    """
    key = _key(stage, version, settings, inputs)
    done = runs_folder() / stage / key
    record = {"stage": stage, "stage_version": version, "settings": dict(settings), "inputs": dict(inputs)}
    with explained_disk(runs_folder(), "another folder in DAINET_RUNS"):
        if not done.exists():
            if not _may_build.get():
                raise StageMissing(f"{stage} has not been computed with these settings")
            with _only_one(done):
                if not done.exists():  # another process may have finished it meanwhile
                    log.info("%s: computing %s", stage, key)
                    _build(done, record, build, resumes)
    return StageResult(stage, key, done)


@contextmanager
def finished_only() -> Iterator[None]:
    """Inside, finished stages are opened as always, and a missing one raises `StageMissing` instead of being built."""
    token = _may_build.set(False)
    try:
        yield
    finally:
        _may_build.reset(token)


def provenance() -> dict[str, Any]:
    """Versions, code state, processor and device, without user names or paths (STYLE section 7)."""
    from dainet.device import hardware  # torch takes seconds to load, and whoever only waits for a stage needs none

    packages = ("torch", "timm", "numpy", "scipy", "medpy", "pandas")
    return {
        "dainet": dainet.__version__,
        "git": _git_state(),
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in packages},
        **hardware(),
        "machine": platform.machine(),
        "system": platform.system(),
    }


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal; read once per process unless size, time or file number change."""
    status = path.stat()
    return _sha256(path, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))


def hash_files(paths: Iterable[Path], root: Path) -> str:
    """One SHA-256 over the names below `root` and the contents of files, independent of their order."""
    lines = sorted(f"{path.relative_to(root).as_posix()} {hash_file(path)}" for path in paths)
    text = "\n".join(lines)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()  # file names may be no valid UTF-8


@functools.cache
def _sha256(path: Path, status: tuple[int, ...]) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write what made something, together with `provenance`, as JSON."""
    write_complete(path, json.dumps({**record, **provenance()}, indent=1, sort_keys=True) + "\n")


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that stays when the stage is finished, but for its record."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    kept = {name: path for name, path in files.items() if name != RECORD and not name.startswith(f"{UNFINISHED}/")}
    return {name: hash_file(path) for name, path in kept.items()}


def repository_root() -> Path:
    """The folder with pyproject.toml and notebooks/ above the working directory, else the working directory."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "notebooks").is_dir():
            return folder
    return here


def runs_folder() -> Path:
    """Where finished stages live: the folder in DAINET_RUNS, else runs/ in the repository."""
    return Path(os.environ.get("DAINET_RUNS") or repository_root() / "runs")


def named_lock(name: str) -> FileLock:
    """A lock between processes, not yet held."""
    locks = runs_folder() / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / name)


@contextmanager
def _only_one(done: Path) -> Iterator[None]:
    """Hold the stage's lock; the system takes it from a process that dies, so a leftover lock file means nothing."""
    lock = named_lock(f"{done.parent.name}-{done.name}")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        log.info("%s: another process computes %s; waiting for it", done.parent.name, done.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(done: Path, record: Mapping[str, Any], build: Callable[[Path], None], resumes: bool) -> None:
    partial = done.with_name(f"{done.name}.partial")
    if not resumes:
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir(parents=True, exist_ok=True)
    try:
        (partial / RECORD).write_text(json.dumps(dict(record)), encoding="utf-8")  # what it is to become
        build(partial)
        write_record(partial / RECORD, {**record, "files": _digests(partial)})
        os.replace(partial, done)
        shutil.rmtree(done / UNFINISHED, ignore_errors=True)
    except BaseException as error:
        if not resumes:
            shutil.rmtree(partial, ignore_errors=True)
        elif isinstance(error, KeyboardInterrupt):
            log.warning("%s: interrupted; run the same again to go on after the last finished epoch", done.parent.name)
        raise


@contextmanager
def explained_disk(folder: Path, other: str) -> Iterator[None]:
    """Inside, a full or protected disk is one line; errors that concern files elsewhere stay as they are.

    Args:
        folder: what is written to.
        other: what may be named instead.

    Raises:
        StageError: nothing more can be written to the folder.
    """
    try:
        yield
    except OSError as error:
        elsewhere = error.filename and not str(error.filename).startswith(str(folder))
        if error.errno not in (*_FULL, *_PROTECTED) or elsewhere:
            raise
        raise StageError(
            f"{folder}: results cannot be written ({error.strerror}); free space there, allow writing, or name {other}"
        ) from error


def _key(stage: str, version: int, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    text = json.dumps([stage, version, dict(settings), dict(inputs)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _git_state() -> str:
    """Commit of the package, "-dirty" where the package differs from it; figures in the making do not count."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "."], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
    return commit.stdout.strip() + ("-dirty" if changed.stdout else "")
