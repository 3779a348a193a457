"""A file that shows whether code of others has run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tests.helpers.refusals import Bomb


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that the bombs of a test leave; the first one goes off here, to show that they are no duds."""
    path = tmp_path / "exploded"
    pickle.loads(pickle.dumps(Bomb(path)))
    path.unlink()
    return path
