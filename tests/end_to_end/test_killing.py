"""A reproduction that is killed at any moment resumes and ends with the same bits."""

import time
from functools import partial
from pathlib import Path

import pytest

from dainet.dino import network
from dainet.settings import Settings
from tests.helpers.killing import fingerprint, reproduce, survive


def files(folder: Path) -> dict[str, str]:
    return fingerprint(folder / "runs", folder / "out")


@pytest.mark.slow
def test_twenty_kills_leave_the_tables_and_weights_of_an_undisturbed_run(
    tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_HIDDEN", 32)  # most of a state would be the head of DINO, written 20 times
    settings = tiny.model_copy(update={"dino": tiny.dino.model_copy(update={"epochs": 2})})
    duration = 0.0
    for name, kills in (("straight", 0), ("killed", 20)):
        monkeypatch.setenv("DAINET_RUNS", str(tmp_path / name / "runs"))
        own, begun = settings.model_copy(update={"output": str(tmp_path / name / "out")}), time.monotonic()
        hit = survive(partial(reproduce, own, ("single", "dual-1111")), kills, longest=duration / 2, seed=0)
        duration = time.monotonic() - begun
    assert sum(hit.values()) == 20, hit
    assert {"dino", "segmentation"} <= set(hit), hit
    straight, killed = files(tmp_path / "straight"), files(tmp_path / "killed")
    assert len(straight) > 20
    assert straight == killed
