"""Tests, notebooks under nbval too, touch no results of yours: what they leave lies in a folder that ends with them.

A session in which your folders change all the same fails, and names the files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from dainet.cache.folders import figures_folder, runs_folder

_YOURS = [runs_folder().resolve(), figures_folder().resolve()]
_BEFORE = pytest.StashKey[dict[Path, tuple[int, int]]]()
_FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Note what is there, and name other folders, before any test or kernel starts."""
    config.stash[_BEFORE] = _files()
    config.stash[_FOLDER] = Path(tempfile.mkdtemp(prefix="dainet-tests-"))
    os.environ |= {f"DAINET_{name}": str(config.stash[_FOLDER] / name.lower()) for name in ("RUNS", "FIGURES")}


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the tests have left."""
    shutil.rmtree(config.stash[_FOLDER])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if a file has changed."""
    if _changed(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the files that have changed."""
    for path in _changed(config):
        terminalreporter.write_line(f"{path}: a test changed your results, or another process did", red=True)


def _changed(config: pytest.Config) -> list[Path]:
    return sorted({path for path, _ in config.stash[_BEFORE].items() ^ _files().items()})


def _files() -> dict[Path, tuple[int, int]]:
    """Return size and time of change, in nanoseconds, of each of your files."""
    found = {}
    for path in (path for folder in _YOURS for path in folder.rglob("*")):
        with suppress(FileNotFoundError):  # another process has removed it by now
            status = path.stat()
            found[path] = status.st_size, status.st_mtime_ns
    return found
