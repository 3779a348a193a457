"""Comparison of files with the hashes in their records."""

from __future__ import annotations

import json
from pathlib import Path

from dainet.cache.records import hash_file
from dainet.errors import InputError

__all__ = ["verify_folder"]


def verify_folder(folder: Path) -> tuple[int, list[str]]:
    """Recompute the SHA-256 of every file that a record below the folder lists.

    Returns:
        The number of files compared; a line for each file that is missing or differs, and each record without hashes.

    Raises:
        InputError: there is no such folder, or it has no record.
    """
    records = [path for path in sorted(folder.rglob("*.json")) if _is_record(path)]
    if not records:
        raise InputError(f"{folder} has no records; expected a folder of figures and tables, or a stage of the cache")
    problems, count = [], 0
    for path in records:
        files = json.loads(path.read_text(encoding="utf-8")).get("files")
        if not files:
            problems.append(f"{path}: records no hashes, because an older version wrote it; make it again")
        for name, digest in (files or {}).items():
            count += 1
            problems += _difference(path.parent / name, digest)
    return count, problems


def _is_record(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(content, dict) and "git" in content and "packages" in content


def _difference(path: Path, digest: str) -> list[str]:
    if not path.is_file():
        return [f"{path}: missing"]
    return [] if hash_file(path) == digest else [f"{path}: differs from its record"]
