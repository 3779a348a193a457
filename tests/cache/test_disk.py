"""A full or protected disk gives one line and a failure; finished stages stay intact, and the run can be resumed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY
from tests.helpers.killing import fingerprint
from tests.helpers.samples import tiny_overrides, write_h5_source

# The kit's own command line with a command that runs every stage without the ten seconds of a notebook.
SCRIPT = """
import json, sys
from dainet import __main__ as command_line
from dainet.settings import load_settings
sys.path.insert(0, sys.argv.pop(1))  # plain scripts do not see the tests
from tests.helpers.killing import reproduce
overrides = json.loads(sys.argv.pop(1))

@command_line.app.command()
def everything() -> None:
    reproduce(load_settings("tour", overrides), ("dual-1111",))

sys.argv.append("everything")
command_line.main()
"""


def run(folder: Path, source: Path) -> tuple[int, list[str]]:
    """Run the command; return its exit status and the lines on stderr that are not progress."""
    overrides = tiny_overrides(source) | {"output": str(folder / "out")}
    command = [sys.executable, "-c", SCRIPT, str(REPOSITORY), json.dumps(overrides)]
    environment = {"DAINET_RUNS": str(folder / "runs"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, [line for line in done.stderr.splitlines() if line.startswith(("dainet:", "Traceback"))]


def files(folder: Path) -> dict[str, str]:
    return fingerprint(folder / "runs", folder / "out")


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
        status, lines = run(small, source)
        assert (status, len(lines)) == (1, 1), lines
        assert "No space left on device" in lines[0]
        assert "free space" in lines[0]
        now = {name: value for name, value in files(small).items() if ".partial/" not in name}
        assert finished.items() <= now.items(), "something finished was damaged"
        finished = now
    assert any(name.startswith("prepared/") for name in finished)
    mount("-o", "remount,ro", str(small))
    status, lines = run(small, source)
    assert (status, len(lines)) == (1, 1), lines
    assert "Read-only file system" in lines[0]
    mount("-o", "remount,rw,size=200m", str(small))
    assert run(small, source) == (0, [])
    (tmp_path / "roomy").mkdir()
    assert run(tmp_path / "roomy", source) == (0, [])
    assert files(small) == files(tmp_path / "roomy")
