"""Bundles of the tiny trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dainet.inference.export import export
from dainet.settings import load_settings

LICENSE = "CC-BY-NC-SA-4.0"


def export_tiny(trained_runs: tuple[Path, dict[str, Any]], folder: Path, network: str = "dual-1111") -> Path:
    """Write seed 0 of a network of the fixture `trained_runs` in float32, with its fine-tuned ViT."""
    path = folder / f"{network}.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAINET_RUNS", str(trained_runs[0]))
        export(load_settings("tour", trained_runs[1]), network, 0, path, LICENSE)
    return path
