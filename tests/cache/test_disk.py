"""A full or protected disk gives one line and a failure; finished stages stay intact, and the run can be resumed."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.helpers.commands import command
from tests.helpers.killing import fingerprint
from tests.helpers.samples import tiny_overrides, write_h5_source


def run(folder: Path, source: Path) -> str:
    """Run every stage by the command line; return "0", or the one line of an error.

    It runs in a process of its own, because one that holds files open keeps a file system from being mounted again.
    """
    items = [part for item in tiny_overrides(source).items() for part in ("--set", "{}={}".format(*item))]
    arguments = ("stage", "scores", "--network", "dual-1111", "--seed", "0", *items)
    with pytest.MonkeyPatch.context() as patch, ProcessPoolExecutor(1, get_context("fork")) as process:
        patch.setenv("DAINET_RUNS", str(folder / "runs"))
        return str(process.submit(command, *arguments).result()[0])


def files(folder: Path) -> dict[str, str]:
    return fingerprint(folder / "runs")


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Mount an empty file system of 64 KiB in memory."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_and_a_read_only_disk_then_room_again(small: Path, tmp_path: Path) -> None:
    source = write_h5_source(tmp_path / "h5")
    finished: dict[str, str] = {}
    for size in ("200k", "8m"):  # too small for the prepared slices, for the states of DINO
        mount("-o", f"remount,size={size}", str(small))
        line = run(small, source)
        assert "No space left on device" in line
        assert "free space" in line
        assert "\n" not in line
        now = {name: value for name, value in files(small).items() if ".partial/" not in name}
        assert finished.items() <= now.items(), "something finished was damaged"
        finished = now
    assert any(name.startswith("prepared/") for name in finished)
    mount("-o", "remount,ro", str(small))
    line = run(small, source)
    assert "Read-only file system" in line
    assert "\n" not in line
    mount("-o", "remount,rw,size=200m", str(small))
    assert run(small, source) == "0"
    (tmp_path / "roomy").mkdir()
    assert run(tmp_path / "roomy", source) == "0"
    assert files(small) == files(tmp_path / "roomy")
