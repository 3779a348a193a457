"""Unpack a downloaded zip archive: into a folder of its own first, and into place when it is complete."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path

from dainet.data.volume import DataError
from dainet.errors import reason

__all__ = ["check_space", "is_archive", "unpack"]

# zipfile raises RuntimeError for an encrypted member, and its subclass NotImplementedError for an unknown compression.
_BROKEN = (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError, RuntimeError)


def is_archive(path: Path) -> bool:
    """Whether the name is that of a zip archive."""
    return path.suffix.lower() == ".zip"


def check_space(needed: int, target: Path, what: str) -> None:
    """Refuse what does not fit on the disk of an existing folder.

    Raises:
        DataError: says how much is needed and how much is free.
    """
    free = shutil.disk_usage(target).free
    if needed > free:
        found = f"{what} needs {needed / 1e9:.1f} GB in {target}, which has {free / 1e9:.1f} GB free"
        raise DataError(f"{found}; make room or choose another target")


def unpack(archive: Path, target: Path) -> list[Path]:
    """Unpack a zip archive below `target`, through a folder `.partial-NAME` that never outlives the call.

    Args:
        archive: a .zip file; zipfile takes ".." and absolute paths out of the names of its members, writes links as
            plain files and compares every CRC.
        target: made where missing; existing files of the same names are replaced.

    Returns:
        The files written, sorted.

    Raises:
        DataError: the archive is truncated, damaged or encrypted, or does not fit on the disk; `target` is then as it
            was before.
    """
    partial = target / f".partial-{archive.name}"
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed run
    try:
        partial.mkdir(parents=True)
        with zipfile.ZipFile(archive) as opened:
            check_space(sum(member.file_size for member in opened.infolist()), target, f"{archive.name} unpacked")
            opened.extractall(partial)
        files = sorted(path.relative_to(partial) for path in partial.rglob("*") if path.is_file())
        shutil.copytree(partial, target, copy_function=os.replace, dirs_exist_ok=True)
        return [target / file for file in files]
    except _BROKEN as error:
        found = f"{archive.name} cannot be unpacked ({reason(error, archive)})"
        raise DataError(f"{found}; expected a complete zip archive; delete it and fetch it again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
