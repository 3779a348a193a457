"""Stages that take no time, for tests of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dainet.cache import in_use
from dainet.cache.folders import runs_folder
from dainet.cache.store import StageResult, run_stage

__all__ = ["forget_use", "stage", "unfinished"]


def stage(name: str = "scores", seed: int = 0, inputs: Mapping[str, str] | None = None) -> StageResult:
    """A finished stage of two files, one of them in a subfolder."""

    def build(folder: Path) -> None:
        (folder / "cases.csv").write_text("dsc\n0.9\n")
        (folder / "volumes").mkdir()
        (folder / "volumes" / "a.npy").write_bytes(b"12345")

    return run_stage(name, 1, {"seed": seed}, inputs or {}, build)


def unfinished(settings: Mapping[str, Any], inputs: Mapping[str, str] | None = None) -> Path:
    """Folder of a stage `dino` that was interrupted before its first file."""

    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt

    before = set(runs_folder().glob("dino/*.partial"))
    with pytest.raises(KeyboardInterrupt):
        run_stage("dino", 1, settings, inputs or {}, interrupted, resumes=True)
    (folder,) = set(runs_folder().glob("dino/*.partial")) - before
    return folder


def forget_use() -> None:
    """Make the stages that this process has opened look like those of a process that has ended."""
    in_use._held.clear()
