"""Phantom hearts that tests may change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dainet.data.phantoms.cardiac import write_cardiac_phantoms


@pytest.fixture(scope="module")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hearts")
    write_cardiac_phantoms(folder, 3)
    return folder


@pytest.fixture
def cardiac(hearts: Path, tmp_path: Path) -> Path:
    """Phantoms of patients 1 (trains), 2 and 3 (test), to be changed; the folder with the patients."""
    return shutil.copytree(hearts, tmp_path / "hearts") / "training"
