"""Ctrl-C while libraries are imported; a module that interrupts its own process stands for the person."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY

INTERRUPT = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
SCRIPTS = sorted(path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "data_scripts").glob("*.py"))
COMMANDS = [["-m", "dainet"], ["-m", "study"], *([script] for script in SCRIPTS)]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}"},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs are started deaf to it
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_interrupted_import_is_one_line(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "typer.py").write_text(INTERRUPT)  # every command line imports it
    done = run(tmp_path, *command)
    assert done.returncode == 130
    assert len(done.stderr.splitlines()) == 1
    assert "interrupted" in done.stderr


def test_an_interrupted_import_of_the_installed_command_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(INTERRUPT)
    script = tmp_path / "dainet"  # as pip writes it
    script.write_text("import sys\nfrom dainet.__main__ import main\nsys.exit(main())\n")
    done = run(tmp_path, str(script))
    assert done.returncode == 130
    assert len(done.stderr.splitlines()) == 1


WATCHED = "from dainet.interrupts import watch_imports\nwatch_imports()\n"


def test_elsewhere_an_interrupt_can_be_handled(tmp_path: Path) -> None:
    program = f"{WATCHED}try:\n    exec({INTERRUPT!r})\nexcept KeyboardInterrupt:\n    print('handled')"
    assert run(tmp_path, "-c", program).stdout == "handled\n"


def test_ignored_interrupts_stay_ignored(tmp_path: Path) -> None:
    ignored = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    (tmp_path / "slow.py").write_text(INTERRUPT)
    assert run(tmp_path, "-c", f"{ignored}{WATCHED}import slow\nprint('done')").stdout == "done\n"
