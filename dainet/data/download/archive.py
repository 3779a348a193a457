"""Unpack archives from elsewhere: checked before a byte is written, and in place when complete."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path, PureWindowsPath

from dainet.data.volume import DataError
from dainet.errors import reason

__all__ = ["check_space", "is_archive", "safe_name", "unpack"]

_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
# RuntimeError: encrypted zip members; NotImplementedError, one of its kind, an unknown compression.
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, OSError, RuntimeError)


def is_archive(path: Path) -> bool:
    """Whether the name is one of a zip or tar archive; `.nii.gz` is none."""
    return path.name.lower().endswith(_ENDINGS)


def safe_name(name: str) -> bool:
    """Whether this is one plain file or folder name, on Linux and on Windows: no path, no drive, not ".."."""
    return name not in ("", ".", "..") and PureWindowsPath(name).name == name and ":" not in name and name.isprintable()


def check_space(needed: int, target: Path, what: str) -> None:
    """Refuse what does not fit on the disk of an existing folder.

    Raises:
        DataError: says how much is needed and how much is free.
    """
    free = shutil.disk_usage(target).free
    if needed > free:
        found = f"{what} needs {needed / 1e9:.1f} GB in {target}, where {free / 1e9:.1f} GB are free"
        raise DataError(f"{found}; make room or choose another target")


def unpack(archive: Path, target: Path) -> list[Path]:
    """Unpack a zip or tar archive below `target`, through a folder `.partial-NAME` that never outlives the call.

    Args:
        archive: .zip, .tar, .tar.gz or .tgz.
        target: made where missing; existing files of the same names are replaced.

    Returns:
        The files written, sorted.

    Raises:
        DataError: the archive is truncated, damaged or encrypted, does not fit on the disk, or holds a member that is a
            link or a device or would be written outside `target`; nothing is left of it then.
    """
    target.mkdir(parents=True, exist_ok=True)
    partial = target / f".partial-{archive.name}"
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        _extract(archive, partial)
        return _move(partial, target)
    except _BROKEN as error:
        found = f"{archive.name} cannot be unpacked ({reason(error, archive)})"
        raise DataError(f"{found}; expected a complete archive, delete it and fetch it again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract(archive: Path, partial: Path) -> None:
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            _check(archive, partial.parent, _zip_members(opened))
            opened.extractall(partial)  # compares the CRC of each member
    else:
        with tarfile.open(archive) as opened:
            _check(archive, partial.parent, _tar_members(opened))
            opened.extractall(partial, filter="data")


def _zip_members(opened: zipfile.ZipFile) -> Iterator[tuple[str, int, bool]]:
    """Name, size, and whether it is a plain file or folder."""
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
        yield info.filename, info.file_size, kind in (0, stat.S_IFREG, stat.S_IFDIR)


def _tar_members(opened: tarfile.TarFile) -> Iterator[tuple[str, int, bool]]:
    for info in opened:
        yield info.name, info.size, info.isreg() or info.isdir()
    # tarfile takes a damaged header for the end, and gzip compares its CRC only when read to the end.
    assert opened.fileobj is not None
    opened.fileobj.seek(opened.offset)
    if opened.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no end mark")
    while opened.fileobj.read(1 << 20):
        pass


def _check(archive: Path, target: Path, members: Iterator[tuple[str, int, bool]]) -> None:
    total = 0
    for name, size, plain in members:
        if not plain:
            raise DataError(
                f"{archive.name}: {name!r} is a link or a device, expected files and folders; do not use it"
            )
        parts = name.removeprefix("./").rstrip("/").split("/")
        if name not in (".", "./") and not all(map(safe_name, parts)):
            raise DataError(f"{archive.name}: {name!r} is not allowed, expected a plain relative path; do not use it")
        total += size
    check_space(total, target, f"{archive.name} unpacked")


def _move(partial: Path, target: Path) -> list[Path]:
    files = [path for path in partial.rglob("*") if path.is_file()]
    moved = sorted(target / path.relative_to(partial) for path in files)
    for path in files:
        final = target / path.relative_to(partial)
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, final)
    return moved
