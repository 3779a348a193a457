"""Who refers to stages of the cache: records of figures and tables, wherever they lie, and jobs of a workflow."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from dainet.cache.folders import figures_folder, runs_folder, walk
from dainet.errors import InputError, reason
from dainet.places import repository_root

__all__ = ["figure_folders", "referred_keys", "remember_figures"]

_REMEMBERED = ".figures"  # in the cache: on each line, in quotes, a folder of figures made from its stages
_WORKFLOW = ".workflow"  # in the cache: what the jobs of workflow/Snakefile have finished
_KEY = re.compile(r'"([0-9a-f]{16})"')


def remember_figures(folder: Path) -> None:
    """Note in the cache that a folder has figures or tables made from its stages."""
    if folder.resolve() not in _remembered():
        _memory().parent.mkdir(parents=True, exist_ok=True)
        with _memory().open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(_relative(folder.resolve())) + "\n")


def figure_folders() -> list[Path]:
    """Find the folders with records of figures and tables, below every folder in which there may be some.

    These are the one named by DAINET_FIGURES, figures/ of the repository, and remembered ones.

    Raises:
        InputError: there is no record, or one of these folders is not there: nobody knows then what is needed. Where
            DAINET_FIGURES names a folder, the repository's may be missing.
    """
    home = repository_root() / "figures"
    homes = [home.resolve()] if os.path.lexists(home) else []  # a link to a disk that is not mounted counts
    elsewhere = [folder for folder in _remembered() if not any(map(folder.is_relative_to, homes))]
    folders = list(dict.fromkeys((figures_folder().resolve(), *homes, *elsewhere)))  # mostly one and the same
    for folder in folders:
        if not folder.is_dir():
            forget = f"delete its line in {_memory()}"
            way_out = forget if folder in elsewhere else "run this in the repository or with another DAINET_FIGURES"
            raise InputError(
                f"{folder} is not there; nothing is removed, because figures there may need it; mount it, or {way_out}"
            )
    found = sorted({path.parent for folder in folders for path in _records(folder)})
    if not found:
        raise InputError(
            f"{folders[0]} has no record of a figure or table; nothing is removed, because nothing tells what is "
            f"needed; run this in the repository, or delete {runs_folder()} to begin again"
        )
    return found


def referred_keys(folders: Iterable[Path]) -> set[str]:
    """Return the keys of stages in all JSON files below these folders and in the jobs of a workflow.

    Everything that looks like a key counts: too much is kept rather than too little.

    Raises:
        InputError: a file cannot be read; the message names it.
    """
    places = (*folders, runs_folder() / _WORKFLOW)
    return {key for place in places for path in _records(place) for key in _KEY.findall(_checked_text(path))}


def _records(folder: Path) -> list[Path]:
    return [place / name for place, _, names in walk(folder, _failed) for name in names if name.endswith(".json")]


def _failed(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise InputError(f"{error.filename}: cannot be listed ({error.strerror}); nothing is removed") from error


def _checked_text(record: Path) -> str:
    try:
        text = record.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{record}: cannot be read ({reason(error, record)}); nothing is removed, because it may refer to it; make "
            "the file again, or delete it"
        ) from error
    return text


def _memory() -> Path:
    return runs_folder() / _REMEMBERED


def _remembered() -> list[Path]:
    memory = _memory()
    try:
        lines = memory.read_text(encoding="utf-8").splitlines() if memory.is_file() else []
        return [(runs_folder().resolve().parent / json.loads(line)).resolve() for line in lines]
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{memory}: expected the path of a folder in quotes on each line ({reason(error, memory)}); mend the line, "
            "or delete it if its figures are gone"
        ) from error


def _relative(folder: Path) -> str:
    """Return the path from the folder that holds the cache, where it is below that, so that both may be moved."""
    root = runs_folder().resolve().parent
    return str(folder.relative_to(root) if folder.is_relative_to(root) else folder)
