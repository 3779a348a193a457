"""Shared fixtures; every test has a runs folder of its own, and writes figures where it works."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

from dainet import pipeline
from dainet.cache.store import run_stage
from dainet.data.prepared import Prepared, run_prepared
from dainet.device import choose_device
from dainet.segmentation.slices import SliceData
from dainet.settings import AttentionSettings, Settings, load_settings
from tests.helpers import REPOSITORY
from tests.helpers.samples import tiny_overrides, write_h5_source

# Tiny tensors gain nothing from threads, and waiting for a busy core makes them 100 times slower.
torch.set_num_threads(1)
# torch looks for devices in its first backward pass. It must not find those that some tests only pretend to have: it
# would start threads for them, and forked processes could not compute gradients any more.
torch.zeros(1, requires_grad=True).sum().backward()


_LONGEST = ("test_solutions", "test_workflow", "test_commands")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each worker begin with its share of the slow modules, those that take longest first.

    Every worker of pytest-xdist gets as many tests in a row; idle ones take over what another has not begun. A module
    stays together: its tests share a browser and a server, or need what those before them have computed.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    slow.sort(key=lambda item: _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST))
    fast, ordered = [item for item in items if item not in slow], list[pytest.Item]()
    modules = list(dict.fromkeys(item.path for item in slow))
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    for worker in range(workers):
        share = [item for item in slow if item.path in modules[worker::workers]]
        rest = max(0, (len(items) - len(ordered)) // (workers - worker) - len(share))
        ordered += [*share, *fast[:rest]]
        fast = fast[rest:]
    items[:] = ordered


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a folder of its own for its stages."""
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("DAINET_FIGURES", raising=False)
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def book_site() -> Path:
    """Return the folder of the built book; no test may change it. `make test-everything` builds it before."""
    site = REPOSITORY / "book" / "_build" / "html"
    if not (site / "index.html").is_file():
        pytest.skip("the book is not built: make book")
    return site


@pytest.fixture
def h5_source(tmp_path: Path) -> Path:
    """See `write_h5_source`."""
    return write_h5_source(tmp_path / "h5")


@pytest.fixture
def tiny(h5_source: Path) -> Settings:
    """Return settings with which every stage takes about a second."""
    return load_settings("tour", tiny_overrides(h5_source))


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of pytest-xdist share, for what is computed once in a session."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def trained_runs(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Train U-Net, single and full dual encoder on tiny data; return a runs folder of this worker and the overrides."""
    folder, own = shared_folder / "tiny", tmp_path_factory.mktemp("trained") / "runs"
    overrides = tiny_overrides(folder / "h5") | {"segmentation.epochs": 40, "segmentation.lr": 0.02}
    settings = load_settings("tour", overrides)
    with FileLock(shared_folder / "tiny.lock"), pytest.MonkeyPatch.context() as patch:
        if not folder.exists():  # the first worker trains for all
            folder.mkdir()
            write_h5_source(folder / "h5")
            patch.setenv("DAINET_RUNS", str(folder / "runs"))
            for name in ("unet", "single", "dual-1111"):
                pipeline.train(settings, name, seed=0)
            pipeline.attention(settings, "random")
        shutil.copytree(folder / "runs", own)
    return own, overrides


@pytest.fixture
def prepared(tiny: Settings) -> Prepared:
    return run_prepared(tiny.data, tiny.segmentation.image_size)


@pytest.fixture
def data(prepared: Prepared) -> SliceData:
    """Return slices with three random maps each."""
    maps = np.random.default_rng(0).random((len(prepared.images), 3, 4, 4)).astype(np.float16)

    def write(folder: Path) -> None:
        np.save(folder / "attention.npy", maps)
        (folder / "attention.json").write_text('{"heads": 3, "grid": [4, 4], "patch": 8, "vit_size_px": 32}')

    stage = run_stage("attention", 1, {}, {}, write)
    return SliceData(prepared, stage, AttentionSettings(), choose_device("cpu"))
