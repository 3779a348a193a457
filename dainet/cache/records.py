"""Records of what made a file: versions, code state, hardware, and hashes that show a change."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import dainet
from dainet.cache.atomic import write_complete
from dainet.errors import InputError, reason

__all__ = ["content_hash", "hash_file", "hash_files", "provenance", "read_record", "versions", "write_record"]

_DIGEST = "record_sha256"
_ARCHIVED = "$Format:%H$"  # `git archive` writes the commit here (.gitattributes)


def provenance() -> dict[str, Any]:
    """Collect versions, code state, processor and device, without user names or paths."""
    from dainet.device import hardware  # imports torch, which takes seconds and is not needed to wait for a stage

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


def versions(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions that a record, or `provenance`, names: of the kit, of Python and of packages."""
    return {name: str(record[name]) for name in ("dainet", "python") if name in record} | record.get("packages", {})


def hash_file(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal; it is read once per process unless size, times or inode change."""
    status = path.stat()
    return _sha256(path, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))


def hash_files(files: Mapping[str, Path]) -> str:
    """Compute one SHA-256 over the given names and the contents of files, independent of their order and places."""
    text = "\n".join(sorted(f"{name} {hash_file(path)}" for name, path in files.items()))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()  # file names may not be UTF-8


@functools.cache
def _sha256(path: Path, status: tuple[int, ...]) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write `record` together with `provenance` as JSON, and a hash of both, which shows a change of the record."""
    content = json.loads(json.dumps({**record, **provenance()}))
    content[_DIGEST] = content_hash(content)
    write_complete(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_record(path: Path) -> dict[str, Any]:
    """Read a record after comparing it with its own hash, which records of older versions lack.

    Raises:
        InputError: the record is missing or unreadable, or differs from what was written; the message names the file.
    """
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError(f"found a {type(content).__name__}, expected an object")
        written = content.pop(_DIGEST, None)
        if written is not None and written != content_hash(content):
            raise ValueError("it differs from what was written")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: unreadable record ({reason(error, path)})") from error
    return content


def content_hash(content: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of a dictionary as JSON, whatever the order of its names."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _git_state() -> str:
    """Return the commit, with "-dirty" where the package differs from it; files outside the package do not count.

    A copy whose history is not its own, as on a machine that is lent for minutes, is told its commit by DAINET_COMMIT;
    one that `git archive` made knows it.
    """
    if told := os.environ.get("DAINET_COMMIT"):
        return told
    if not _ARCHIVED.startswith("$"):
        return _ARCHIVED[:12]
    git = ["git", "-C", str(Path(dainet.__file__).parent)]
    try:  # installed below another project, this package is none of its files
        subprocess.run([*git, "ls-files", "--error-unmatch", "__init__.py"], capture_output=True, check=True)
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "."], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
    return commit.stdout.strip() + ("-dirty" if changed.stdout else "")
