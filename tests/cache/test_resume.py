"""States between epochs: the last two are kept, and a damaged one is not used."""

import logging
import time
from pathlib import Path

import pytest
import torch

from dainet.cache.resume import load_state, save_state, state_writer
from dainet.cache.store import UNFINISHED
from dainet.data.prepared import Prepared
from dainet.segmentation.slices import SliceData
from dainet.segmentation.training import train
from dainet.settings import Settings
from tests.helpers.damage import DAMAGES, flip
from tests.helpers.training import equal, small_network, train_until, trained_weights


def state_files(folder: Path) -> list[Path]:
    """Return the states of a folder, oldest first."""
    return sorted((folder / UNFINISHED).iterdir())


def epochs(folder: Path) -> list[int]:
    return [int(path.name.split("_")[1]) for path in state_files(folder)]


def save_states(folder: Path, *numbers: int) -> None:
    for epoch in numbers:
        save_state({"weight": torch.full((3,), epoch), "history": [epoch]}, folder, epoch)


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    save_states(tmp_path, 1, 2, 3)
    assert epochs(tmp_path) == [2, 3]
    assert load_state(tmp_path)["history"] == [3]
    assert load_state(tmp_path / "nothing") is None


@pytest.mark.parametrize(("seconds", "written"), [(0.1, [1, 2, 3, 4, 5, 6]), (2.0, [1, 3, 5])])
def test_a_state_that_takes_long_is_followed_by_a_pause_of_20_times_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, written: list[int]
) -> None:
    now, seen = 0.0, []

    def slow(state: dict[str, int], folder: Path, epoch: int) -> None:
        nonlocal now
        now += seconds
        seen.append(epoch)

    monkeypatch.setattr("dainet.cache.resume.save_state", slow)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    write = state_writer(tmp_path)
    for epoch in range(1, 7):
        write({}, epoch)
        now += 20.0  # of training: the next epoch ends during the pause of 40 s, and the one after it at its end
    assert seen == written


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_recognized_and_the_one_before_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    save_states(tmp_path, 1, 2)
    last = state_files(tmp_path)[1]
    DAMAGES[damage](last)
    with caplog.at_level(logging.WARNING, "dainet"):
        found = load_state(tmp_path)["history"]
    assert found == ([2] if damage == "linked" else [1])
    assert [last.name in message for message in caplog.messages] == [True] * (damage not in ("linked", "deleted"))


def test_without_an_undamaged_one_the_training_begins_again_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_states(tmp_path, 1, 2)
    for path in state_files(tmp_path):
        path.write_bytes(b"")
    with caplog.at_level(logging.WARNING, "dainet"):
        assert load_state(tmp_path) is None
    assert len(caplog.messages) == 3
    assert "begins again" in caplog.messages[-1]


def test_what_a_killed_process_has_half_written_is_removed(tmp_path: Path) -> None:
    save_states(tmp_path, 1)
    (tmp_path / UNFINISHED / "epoch_00002_0123456789abcdef.pt.new").touch()
    save_states(tmp_path, 2)
    assert [path.suffix for path in state_files(tmp_path)] == [".pt", ".pt"]


def test_a_damaged_one_does_not_displace_an_undamaged_one(tmp_path: Path) -> None:
    save_states(tmp_path, 1, 2)
    state_files(tmp_path)[1].write_bytes(b"")
    save_state({"history": ["2 again"]}, tmp_path, 2)  # other content, as on a GPU that rounds differently
    assert epochs(tmp_path) == [1, 2]
    state_files(tmp_path)[1].write_bytes(b"")
    assert load_state(tmp_path)["history"] == [1]


def test_no_flipped_bit_gives_another_state(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "dainet")
    save_states(tmp_path, 1)
    (path,) = state_files(tmp_path)
    content = path.read_bytes()
    for position in range(0, 8 * len(content), 41):
        path.write_bytes(content)
        flip(path, position)
        assert load_state(tmp_path) is None, position


def test_a_training_whose_last_state_is_damaged_ends_like_an_undisturbed_one(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("straight", "damaged")]
    for folder in folders:
        folder.mkdir()
    train(small_network(), tiny.segmentation, 0, prepared, data, folders[0])
    train_until(3, tiny.segmentation, prepared, data, folders[1])
    last = state_files(folders[1])[-1]
    last.write_bytes(last.read_bytes()[:-50])
    train(small_network(), tiny.segmentation, 0, prepared, data, folders[1])
    assert equal(trained_weights(folders[0]), trained_weights(folders[1]))
    assert (folders[0] / "history.csv").read_text() == (folders[1] / "history.csv").read_text()
