"""A pack on disk: an archive cut into parts of a given size, and a manifest with the SHA-256 of parts and files."""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import Any

from dainet.cache.atomic import write_complete
from dainet.cache.records import hash_file, provenance, read_record, write_record
from dainet.errors import InputError
from dainet.progress import progress
from dainet.transfer.packing import CODE
from dainet.transfer.scans import restore, shrink

__all__ = ["MANIFEST", "read_files", "read_manifest", "write_pack"]

MANIFEST = "pack.json"
_PART = "pack.tar.{:04d}"  # `cat pack.tar.*` joins the parts in their order
_PACKED, _SCAN = ".xz", ".scan"  # endings in the archive: compressed; compressed after `shrink`
_MIB = 1 << 20
_ENTRIES = {"commit", "content", "files", "plain", "sizes", "zlib"}  # of a manifest


def write_pack(
    folder: Path, files: Mapping[str, Path], plain: Mapping[str, bytes], part_mib: int, verbatim: bool
) -> list[Path]:
    """Write a pack and return its files: parts, and their manifest.

    Args:
        folder: where to; must not exist or be empty.
        files: by name in the archive; each is compressed.
        plain: contents by name, for `tar` alone: in front, neither compressed nor laid out by `unpack`.
        part_mib: largest size of a part in MiB.
        verbatim: scans are only compressed, for a machine whose zlib compresses in another way.

    Raises:
        InputError: the folder has files.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} has files; name another folder, or empty it")
    commit, digests = provenance()["git"], dict[str, str]()  # now: somebody may commit while this packs
    if CODE in plain:
        commit = commit.removesuffix("-dirty")  # by files that git does not know: code with other changes is refused
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder) as whole:
        with tarfile.open(fileobj=whole, mode="w") as archive, ThreadPoolExecutor() as pool:
            for name, content in plain.items():
                _add(archive, name, content)
            packed = pool.map(lambda path: _pack(path, verbatim), files.values())
            for name, (ending, content, digest) in zip(progress(list(files), "packing"), packed, strict=True):
                _add(archive, name + ending, content)
                digests[name] = digest
        whole.seek(0)
        parts = list(_cut(whole.read, folder, part_mib * _MIB))
    record = {
        "commit": commit,
        "files": {path.name: hash_file(path) for path in parts},
        "sizes": {path.name: path.stat().st_size for path in parts},
        "content": digests,
        "plain": list(plain),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }
    write_record(folder / MANIFEST, record)
    return [*parts, folder / MANIFEST]


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a pack after comparing every part with it.

    Raises:
        InputError: the manifest is missing, damaged or none, or parts are missing, incomplete or damaged.
    """
    record = read_record(folder / MANIFEST)
    if lacking := _ENTRIES - record.keys():
        raise InputError(
            f"{folder / MANIFEST} is not the manifest of a pack; expected {', '.join(sorted(lacking))} in it"
        )
    faults = [fault for name in record["files"] if (fault := _fault(folder / name, record))]
    if faults:
        raise InputError(f"{folder}, a pack of {len(record['files'])} parts: {'; '.join(faults)}; copy them again")
    return record


def read_files(folder: Path, manifest: Mapping[str, Any], places: Mapping[str, Path]) -> None:
    """Write files of a pack to their places; each appears complete, after a comparison with the manifest.

    Raises:
        InputError: a file is not what was packed, because zlib compresses in another way here.
    """

    def lay_out(item: tuple[str, str, bytes]) -> None:
        name, ending, packed = item
        content = lzma.decompress(packed)
        place = places[name]
        place.parent.mkdir(parents=True, exist_ok=True)
        write_complete(place, restore(content) if ending == _SCAN else content)
        if hash_file(place) != manifest["content"][name]:
            place.unlink()
            raise InputError(
                f"{name}: packed with zlib {manifest['zlib']}; zlib {zlib.ZLIB_RUNTIME_VERSION} here compresses in "
                "another way, so it would get another key; pack again with --verbatim"
            )

    with _whole(folder, manifest["files"]) as archive, ThreadPoolExecutor() as pool:
        chosen = [item for item in _members(archive) if item[0] in places]
        for _ in zip(progress(chosen, "unpacking"), pool.map(lay_out, chosen), strict=True):
            pass


def _pack(path: Path, verbatim: bool) -> tuple[str, bytes, str]:
    """Return the ending in the archive, the packed content, and the SHA-256 of the file."""
    content = path.read_bytes()
    scan = shrink(content) if path.name.endswith(".nii.gz") and not verbatim else None
    ending, form = (_PACKED, content) if scan is None else (_SCAN, scan)
    return ending, lzma.compress(form), hashlib.sha256(content).hexdigest()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, BytesIO(content))


def _cut(read: Callable[[int], bytes], folder: Path, size: int) -> Iterator[Path]:
    number = 0
    while content := read(size):
        number += 1
        path = folder / _PART.format(number)
        path.write_bytes(content)
        yield path


def _fault(part: Path, record: Mapping[str, Any]) -> str:
    """Return what is wrong with a part; empty if nothing is."""
    expected = record["sizes"][part.name]
    if not part.is_file():
        return f"{part.name} is missing"
    if part.stat().st_size != expected:
        return f"{part.name} has {part.stat().st_size} bytes, expected {expected}"
    return "" if hash_file(part) == record["files"][part.name] else f"{part.name} is damaged"


@contextmanager
def _whole(folder: Path, parts: Iterable[str]) -> Iterator[tarfile.TarFile]:
    with TemporaryFile() as whole:
        for name in sorted(parts, key=lambda name: (len(name), name)):  # older packs have 99 before 100
            with (folder / name).open("rb") as part:
                copyfileobj(part, whole)
        whole.seek(0)
        with tarfile.open(fileobj=whole) as archive:
            yield archive


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, str, bytes]]:
    """Yield name, ending and packed content of each file; the plain ones keep their names and have no ending."""
    for member in archive:
        content = archive.extractfile(member)
        ending = next((each for each in (_SCAN, _PACKED) if member.name.endswith(each)), "")
        if content:
            yield member.name.removesuffix(ending), ending, content.read()
