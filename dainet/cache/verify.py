"""Comparison of files with the hashes in their records; what no record names counts as a fault."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from dainet.cache.folders import PARTIAL, STAGE_NAME, walk
from dainet.cache.records import hash_file, read_record
from dainet.cache.store import RECORD
from dainet.errors import InputError, reason

__all__ = ["Verification", "verify_folder"]

_TEXTS = ("README.md", "NOTICE.md")  # written by hand, so no run can have recorded them


class Verification(NamedTuple):
    """Outcome of a comparison: files compared, a line for each fault, and what needs no record.

    `different` has a line for each compared file that is not what its record says, `not_compared` for each file without
    a readable record and each recorded file that cannot be read. `exempt` lists unfinished stages and texts.
    """

    compared: int
    different: list[str]
    not_compared: list[str]
    exempt: list[Path]


def verify_folder(folder: Path) -> Verification:
    """Recompute the SHA-256 of every file that a record below the folder lists, following links.

    Every file must be named by a record or be one; hidden files and folders are left out.

    Raises:
        InputError: there is no such folder, or it has nothing that could be compared.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected one of figures and tables, or a stage of the cache")
    files, not_compared, exempt = _listed(folder)
    records = {path: hashes for path in files if (hashes := _hashes(path))}
    compared, different, named = 0, [], set()
    for record, hashes in records.items():
        for name, digest in hashes.items():
            path = Path(os.path.normpath(record.parent / name))
            named.add(os.path.realpath(path))
            try:
                same = _hash(path) == digest
            except OSError as error:
                not_compared += _if_there(record, f"{path}: {reason(error, path)}")
                continue
            compared += 1
            different += [] if same else [f"{path}: differs from its record {record.name}"]
    for path in files:
        if path.name in _TEXTS:
            exempt.append(path)
        elif path not in records and os.path.realpath(path) not in named:
            not_compared += _if_there(path, f"{path}: {_unnamed(path)}")
    if not compared and not not_compared:
        raise InputError(f"{folder} has no records; expected a folder of figures and tables, or a stage of the cache")
    return Verification(compared, different, not_compared, exempt)


def _listed(folder: Path) -> tuple[list[Path], list[str], list[Path]]:
    """List all files; lines on folders that cannot be read and stages without a record; unfinished stages."""
    files, lines, unfinished = [], [], []

    def failed(error: OSError) -> None:
        lines.extend(_if_there(Path(error.filename), f"{error.filename}: cannot be read ({error.strerror})"))

    for place, folders, names in walk(folder, failed):
        unfinished += [place / name for name in folders if name.endswith(PARTIAL)]
        folders[:] = [name for name in folders if not name.endswith(PARTIAL)]  # nobody opens them before the end
        files += [place / name for name in names]
        if STAGE_NAME.fullmatch(place.absolute().name) and RECORD not in names:
            lines += _if_there(place, f"{place}: a stage without its record {RECORD}; remove it to compute it again")
    return files, lines, unfinished


def _hashes(path: Path) -> dict[str, str]:
    """Return what a record lists, name -> SHA-256; empty for every other file and for a record that is damaged."""
    if path.suffix != ".json" or not path.is_file():
        return {}
    try:
        files = read_record(path).get("files", {})
        possible = not any("\0" in name for name in files)
        return {name: str(digest) for name, digest in files.items()} if possible else {}
    except (InputError, TypeError, AttributeError, RecursionError):
        return {}


def _hash(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError("missing")
    return hash_file(path)


def _unnamed(path: Path) -> str:
    own = ", and it is no readable record with hashes itself" if path.suffix == ".json" else ""
    return f"no record names it{own}; make it again, or move it elsewhere"


def _if_there(path: Path, line: str) -> list[str]:
    """Return the line, unless the path has gone: beside a running computation files come and go."""
    return [line] if os.path.lexists(path) else []
