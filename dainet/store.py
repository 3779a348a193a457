"""The stage cache: settings and inputs give a key, a key gives a folder that is either finished or not there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import dainet

__all__ = ["StageResult", "hash_file", "hash_files", "provenance", "repository_root", "run_stage", "runs_folder"]

log = logging.getLogger(__name__)
_RECORD = "provenance.json"


@dataclass(frozen=True)
class StageResult:
    """A finished stage: its name, the key of everything it depends on, and the folder that holds its files."""

    stage: str
    key: str
    path: Path

    def record(self) -> dict[str, Any]:
        """What made it: settings, input keys, versions, code state."""
        return json.loads((self.path / _RECORD).read_text(encoding="utf-8"))


def run_stage(
    stage: str,
    version: int,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    build: Callable[[Path], None],
) -> StageResult:
    """Return the finished stage with this key, building it first where it is missing.

    `build` writes into `<key>.partial`, which is kept when it fails, so that it may resume there; a finished folder is
    renamed to `<key>` in one step, after its provenance record. A folder without ".partial" is therefore complete.

    Args:
        stage: folder name under runs/.
        version: raise it when the stage's code changes its results.
        settings: JSON-like settings of this stage, without paths.
        inputs: name -> key or hash of everything read.
        build: writes the files.
    """
    key = _key(stage, version, settings, inputs)
    done = runs_folder() / stage / key
    if not done.exists():
        partial = done.with_name(f"{key}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        log.info("%s: computing %s", stage, key)
        build(partial)
        record = {"stage": stage, "stage_version": version, "settings": dict(settings), "inputs": dict(inputs)}
        (partial / _RECORD).write_text(json.dumps(record | provenance(), indent=1, sort_keys=True), encoding="utf-8")
        os.replace(partial, done)
    return StageResult(stage, key, done)


def provenance() -> dict[str, Any]:
    """Versions, code state and processor, without user names or paths (STYLE section 7)."""
    packages = ("torch", "timm", "numpy", "scipy", "medpy", "pandas")
    return {
        "dainet": dainet.__version__,
        "git": _git_state(),
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in packages},
        "machine": platform.machine(),
        "system": platform.system(),
    }


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def hash_files(paths: Iterable[Path], root: Path) -> str:
    """One SHA-256 over the names below `root` and the contents of files, independent of their order."""
    lines = sorted(f"{path.relative_to(root).as_posix()} {hash_file(path)}" for path in paths)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


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
