"""Contents of the cache: list stages, and say what made one, also beside a computation that adds and removes some."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dainet.cache.folders import PARTIAL, STAGE_NAME, runs_folder, walk
from dainet.cache.records import read_record
from dainet.cache.store import RECORD
from dainet.errors import InputError

__all__ = ["Run", "find_run", "find_runs", "finished_keys", "lineage", "runs_table"]

_SHORT = (
    "model",
    "loss",
    "seed",
    "epochs",
    "width",
    "image_size",
    "vit_size_px",
    "origin",
    "control",
    "dataset",
    "patients",
)


@dataclass(frozen=True)
class Run:
    """A stage in the cache; `record` holds its settings and inputs, even while it is unfinished.

    `record` is empty where an unfinished stage has none yet, and None where it cannot be read. `modified` is the time
    of the last change in seconds since 1970.
    """

    stage: str
    key: str
    path: Path
    complete: bool
    modified: float
    record: dict[str, Any] | None


def find_runs() -> list[Run]:
    """List every stage in the cache, complete or not, sorted by name and age (oldest first)."""
    runs = [run for path in _folders() if (run := _run(path))]
    return sorted(runs, key=lambda run: (run.stage, run.modified))


def find_run(key: str) -> Run:
    """Return the stage whose key begins with `key`.

    Raises:
        InputError: no key does, or several do.
    """
    found = {run.key: run for run in sorted(find_runs(), key=lambda run: run.complete) if run.key.startswith(key)}
    if len(found) != 1:
        raise InputError(
            f"{len(found)} stages have a key that begins with {key!r}, expected one; see `python -m dainet runs`"
        )
    return next(iter(found.values()))


def finished_keys() -> set[str]:
    """Return the keys of all finished stages, without reading their records."""
    return {path.name for path in _folders() if path.suffix != PARTIAL}


def runs_table(runs: Iterable[Run]) -> list[dict[str, str]]:
    """Describe each run as text: stage, key, settings in short, size in MB, age, and whether it is complete."""
    return [
        {
            "stage": run.stage,
            "key": run.key,
            "settings": f"cannot be read: {run.path / RECORD}" if run.record is None else _short(run.record),
            "MB": f"{_size(run.path) / 1e6:.1f}",
            "age": _age(time.time() - run.modified),
            "complete": "yes" if run.complete else "no",
        }
        for run in runs
    ]


def lineage(keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return key -> record of the stages and of everything they were made from, as far as the cache has them.

    Raises:
        InputError: the record of one of them is missing or cannot be read; the message names the file.
    """
    found: dict[str, dict[str, Any]] = {}
    left = list(keys)
    while left:
        key = left.pop()
        if key not in found and (folder := _folder(key)):
            found[key] = _read(folder / RECORD)
            left += found[key]["inputs"].values()
    return found


def _folders() -> Iterator[Path]:
    """Yield what has the name of a stage; in a folder that is not the cache's alone, other things lie beside them."""
    return (path for path in runs_folder().glob("[!.]*/*") if STAGE_NAME.fullmatch(path.name))


def _folder(key: str) -> Path | None:
    """Return the folder of a stage, finished rather than not; None where the cache has neither."""
    names = (key, f"{key}{PARTIAL}") if STAGE_NAME.fullmatch(key) else ()
    return next((path for name in names for path in runs_folder().glob(f"[!.]*/{name}")), None)


def _read(record: Path) -> dict[str, Any]:
    advice = f"so what made this stage is unknown; remove {record.parent} to compute it again"
    try:
        content = read_record(record)
    except (InputError, RecursionError) as error:
        raise InputError(f"{error}, {advice}") from error
    if not all(isinstance(content.get(name), dict) for name in ("settings", "inputs")):
        raise InputError(f"{record}: expected settings and inputs, {advice}")
    return content


def _run(path: Path) -> Run | None:
    """Describe a folder of the cache; None for a file, or where it is gone by now."""
    complete = path.suffix != PARTIAL
    try:
        modified, is_stage = path.stat().st_mtime, path.is_dir()
        record = _read(path / RECORD) if complete or (path / RECORD).exists() else {}
    except FileNotFoundError:
        return None
    except InputError:
        record = None
    return Run(path.parent.name, path.stem, path, complete, modified, record) if is_stage and path.exists() else None


def _short(record: dict[str, Any]) -> str:
    values = {name: value for name, value in record.get("settings", {}).items() if name in _SHORT}
    if isinstance(patients := values.get("patients"), dict):  # a split; phantoms have a number
        values["patients"] = len(patients)
    return ", ".join(f"{name} {values[name]}" for name in _SHORT if name in values)


def _size(folder: Path) -> int:
    return sum(_bytes(place / name) for place, _, names in walk(folder) for name in names)


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another process has removed it
        return 0


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
