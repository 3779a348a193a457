"""Contents of the cache: list stages, say what made one, and remove those that no figure or table refers to."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dainet.cache.folders import runs_folder
from dainet.cache.store import RECORD
from dainet.errors import InputError

__all__ = ["Run", "find_run", "find_runs", "lineage", "remove", "runs_table", "unreferenced"]

_SHORT = ("model", "seed", "epochs", "width", "image_size", "vit_size_px", "control", "dataset", "patients")


@dataclass(frozen=True)
class Run:
    """A stage in the cache; `record` holds its settings and inputs, even while it is unfinished."""

    stage: str
    key: str
    path: Path
    complete: bool
    record: dict[str, Any]


def find_runs() -> list[Run]:
    """List every stage in the cache, complete or not, sorted by name and age (oldest first)."""
    folders = [path for path in runs_folder().glob("*/*") if path.is_dir() and not path.parent.name.startswith(".")]
    return [_run(path) for path in sorted(folders, key=lambda path: (path.parent.name, path.stat().st_mtime))]


def find_run(key: str) -> Run:
    """Return the stage whose key begins with `key`.

    Raises:
        InputError: no key does, or several do.
    """
    found = [run for run in find_runs() if run.key.startswith(key)]
    if len(found) != 1:
        raise InputError(
            f"{len(found)} stages have a key that begins with {key!r}, expected one; see `python -m dainet runs`"
        )
    return found[0]


def runs_table(runs: Iterable[Run]) -> list[dict[str, str]]:
    """Describe each run as text: stage, key, settings in short, size in MB, age, and whether it is complete."""
    return [
        {
            "stage": run.stage,
            "key": run.key,
            "settings": _short(run.record.get("settings", {})),
            "MB": f"{_size(run.path) / 1e6:.1f}",
            "age": _age(time.time() - run.path.stat().st_mtime),
            "complete": "yes" if run.complete else "no",
        }
        for run in runs
    ]


def lineage(keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return key -> record of the stages and of everything they were made from, as far as the cache has them."""
    found: dict[str, dict[str, Any]] = {}
    left = [key for key in keys if key.isalnum()]
    while left:
        key = left.pop()
        for path in runs_folder().glob(f"*/{key}/{RECORD}"):
            if key not in found:
                found[key] = json.loads(path.read_text(encoding="utf-8"))
                left += found[key]["inputs"].values()
    return found


def unreferenced(runs: list[Run], figures: Path) -> list[Run]:
    """Return the runs that no figure or table below `figures` was made from, directly or through other stages."""
    needed = lineage(key for path in figures.rglob("*.json") for key in _stage_keys(path))
    return [run for run in runs if run.key not in needed]


def remove(run: Run) -> None:
    """Delete a stage's folder."""
    shutil.rmtree(run.path)


def _run(path: Path) -> Run:
    complete, record = path.suffix != ".partial", path / RECORD
    content = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    return Run(path.parent.name, path.stem, path, complete, content)


def _stage_keys(record: Path) -> Iterable[str]:
    try:
        stages = json.loads(record.read_text(encoding="utf-8")).get("stages", {})
    except (ValueError, AttributeError):
        return ()  # another kind of JSON file
    return stages.values() if isinstance(stages, dict) else ()


def _short(settings: dict[str, Any]) -> str:
    values = {name: settings[name] for name in _SHORT if name in settings}
    if isinstance(patients := values.get("patients"), dict):  # a split; phantoms have a number
        values["patients"] = len(patients)
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
