"""The pages for a class, built once in a session."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tests.helpers import REPOSITORY


@pytest.fixture(scope="session")
def built(shared_folder: Path) -> Path:
    """Build all pages with the one command; return their folder. No test may change it."""
    folder = shared_folder / "teaching"
    with FileLock(shared_folder / "teaching.lock"):
        if not folder.exists():  # the first worker builds for all
            command = [sys.executable, "-m", "teaching", "--output", str(folder)]
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
            assert str(folder / "index.html") in done.stdout
    return folder
