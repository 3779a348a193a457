"""States between epochs: the last two are kept, and a damaged one is not used."""

import logging
from pathlib import Path

import pytest
import torch

from dainet.cache.resume import load_state, save_state
from dainet.cache.store import UNFINISHED
from dainet.data.prepared import Prepared
from dainet.segmentation.slices import SliceData
from dainet.segmentation.training import train
from dainet.settings import Settings
from tests.helpers.training import equal, small_network, train_until, trained_weights


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / UNFINISHED).iterdir())


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        save_state({"weight": torch.full((3,), epoch), "history": [epoch]}, tmp_path, epoch)
    assert names(tmp_path) == ["epoch_00002.pt", "epoch_00003.pt"]
    assert load_state(tmp_path)["history"] == [3]
    assert load_state(tmp_path / "nothing") is None


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied"])
def test_a_damaged_one_is_recognized_and_the_one_before_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    for epoch in (1, 2):
        save_state({"weight": torch.arange(1000.0) * epoch}, tmp_path, epoch)
    path = tmp_path / UNFINISHED / "epoch_00002.pt"
    content = bytearray(path.read_bytes())
    position = content.find(torch.arange(1000.0).mul(2).numpy().tobytes()) + 100
    content[position] ^= 1  # one bit of a weight, which torch.load would not notice
    damaged = {"flipped": content, "cut": content[: len(content) // 2], "emptied": bytearray()}
    path.write_bytes(damaged[damage])
    with caplog.at_level(logging.WARNING, "dainet"):
        assert torch.equal(load_state(tmp_path)["weight"], torch.arange(1000.0))
    (message,) = caplog.messages
    assert "epoch_00002.pt" in message
    assert "BadZipFile" in message


def test_a_training_whose_last_state_is_damaged_ends_like_an_undisturbed_one(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("straight", "damaged")]
    for folder in folders:
        folder.mkdir()
    train(small_network(), tiny.segmentation, 0, prepared, data, folders[0])
    train_until(3, tiny.segmentation, prepared, data, folders[1])
    last = folders[1] / UNFINISHED / "epoch_00002.pt"
    last.write_bytes(last.read_bytes()[:-50])
    train(small_network(), tiny.segmentation, 0, prepared, data, folders[1])
    assert equal(trained_weights(folders[0]), trained_weights(folders[1]))
    assert (folders[0] / "history.csv").read_text() == (folders[1] / "history.csv").read_text()
