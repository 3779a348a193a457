"""An explorer of finished networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dainet.explorer import Explorer
from dainet.settings import Settings, load_settings


@pytest.fixture
def settings(trained_runs: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings of networks that all tests share; those that train write elsewhere."""
    monkeypatch.setenv("DAINET_RUNS", str(trained_runs[0]))
    return load_settings("tour", trained_runs[1])


@pytest.fixture
def explorer(settings: Settings) -> Explorer:
    explorer = Explorer({"discs": settings})
    explorer.controls.slice.value = 1  # the phantom's slices are all equally full
    return explorer
