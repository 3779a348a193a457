"""Every command of the command line, on what a real `dainet reproduce` leaves behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from dainet.__main__ import app
from dainet.lessons.reproduce import find_notebooks
from tests.helpers import REPOSITORY
from tests.helpers.documented import PAGES, RUN_HERE, documented, words_of
from tests.helpers.notebooks import OF_A_RUN, QUICK

# The commands in the order in which they are run.
COMMANDS = ("reproduce", "stage", "runs", "verify", "explorer", "notebooks")
# In tests/lessons, tests/transfer, tests/inference and tests/compare.
ELSEWHERE = (
    "more-seeds",
    "competitors",
    "gain",
    "pack",
    "unpack",
    "attention",
    "predict",
    "export",
    "card",
    "compare plan",
    "compare run",
    "compare report",
)
QUICK_SYNAPSE = ["--dataset", "synapse", *(word for item in QUICK.items() for word in ("--set", "{}={}".format(*item)))]
TRAINED = ["--network", "dual-1111", "--seed", "0"]
STAGES = (["data"], ["dino"], ["attention"], ["train", *TRAINED], ["scores", *TRAINED])


def command_line(words: Sequence[str]) -> list[str]:
    """The documented program as it is called from this environment."""
    program = {"dainet": [sys.executable, "-m", "dainet"], "python": [sys.executable]}
    return [*program[words[0]], *words[1:]]


def environment(root: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY), "DAINET_RUNS": str(root / "runs")}


def call(root: Path, *words: str) -> str:
    """What a command prints in a process of its own, after it has ended without an error."""
    done = subprocess.run(command_line(words), cwd=root, env=environment(root), capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def ask(root: Path, *arguments: str, answer: str = "") -> str:
    """What `dainet ARGUMENTS` prints in this process, for a command that has run in one of its own before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("DAINET_RUNS", str(root / "runs"))
        done = CliRunner().invoke(app, arguments, input=answer)
    assert done.exit_code == 0, f"{' '.join(arguments)}: {done.output}{done.exception}"
    return done.stdout


def new_repository(root: Path) -> Path:
    (root / "notebooks").mkdir(parents=True)
    shutil.copy(REPOSITORY / "pyproject.toml", root)
    (root / "data_scripts").symlink_to(REPOSITORY / "data_scripts")
    return root


def state(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.glob("[a-z]*/*/*")}


@pytest.mark.slow
def test_every_command_on_what_reproduce_leaves(tmp_path: Path) -> None:
    root = new_repository(tmp_path / "repository")
    for path in find_notebooks(OF_A_RUN):
        shutil.copy(path, root / "notebooks")
    assert "index.html" in call(root, "dainet", "reproduce", *QUICK_SYNAPSE)
    check_tables(root / "figures" / "phantom-synapse-tour")
    check_stages(root)
    keys = check_lists(root)
    check_explorer(root)
    run_documented(root, keys[0])
    check_regenerated(new_repository(tmp_path / "another"))


def test_every_registered_command_is_run_above() -> None:
    command: Any = typer.main.get_command(app)
    groups = {name: part.commands for name, part in command.commands.items() if hasattr(part, "commands")}
    registered = [name for name in command.commands if name not in groups]
    registered += [f"{group} {name}" for group, parts in groups.items() for name in parts]
    assert sorted(registered) == sorted((*COMMANDS, *ELSEWHERE))


def check_tables(folder: Path) -> None:
    """The lessons ran on organs that no stored output shows: no cell may know ACDC's classes."""
    rows = pd.read_csv(folder / "table1.csv", keep_default_na=False)
    by = rows["By"].str.split(" ").str[0]  # without "(patients)" and "(phantoms)"
    assert "Aorta" in rows.columns
    assert "Difference" not in rows.columns  # of phantoms to patients
    assert list(by).count("paper") == 15
    assert set(rows.loc[by == "here", "Method"]) == {"unet", "single", "dual-1111"}
    page = (folder / "index.html").read_text(encoding="utf-8")
    for name in ("data_sheet", "figure1_attention", "figure2_architecture", "figure3_qualitative", "table3"):
        assert f"{name}." in page


def check_stages(root: Path) -> None:
    """Each stage by name finds what the notebooks have left and computes nothing again."""
    before = state(root / "runs")
    printed = [ask(root, "stage", *arguments, *QUICK_SYNAPSE) for arguments in STAGES]
    assert call(root, "dainet", "stage", *STAGES[-1], *QUICK_SYNAPSE) == printed[-1]
    for found in map(json.loads, printed):
        assert all((root / "runs" / stage["stage"] / stage["key"]).is_dir() for stage in found)
    assert state(root / "runs") == before


def check_lists(root: Path) -> list[str]:
    """`runs` lists every stage there is, and explains each; `verify` accepts all of them; returns their keys."""
    listed = call(root, "dainet", "runs")
    folders = [path for path in (root / "runs").glob("[a-z]*/*") if path.is_dir()]
    assert {path.parent.name for path in folders} >= {"phantoms", "prepared", "dino", "attention", "segmentation"}
    for path in folders:
        assert re.search(rf"^{path.parent.name} +{path.name} .* yes$", listed, flags=re.MULTILINE), path
    for path in {path.parent.name: path for path in folders}.values():  # one of each stage
        assert path.name in json.loads(ask(root, "runs", "--why", path.name))
    assert call(root, "dainet", "verify", "runs").startswith("OK")
    assert "Remove" in ask(root, "runs", "--prune", answer="n\n")
    assert [path for path in folders if not path.is_dir()] == []
    return [path.name for path in folders]


def check_explorer(root: Path) -> None:
    """It prints its address and ends with an interrupt."""
    line = command_line(["dainet", "explorer", *QUICK_SYNAPSE, "--no-browser", "--port", "0"])
    process = subprocess.Popen(
        line,
        cwd=root,
        env=environment(root),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs are started deaf to it
    )
    assert process.stderr
    said = next((text for text in process.stderr if "token=" in text), "")
    address = re.search(r"http://(localhost|127\.0\.0\.1):(\d+)/", said)
    assert address
    assert int(address[2]) > 0
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)


def run_documented(root: Path, key: str) -> None:
    """The lines of README and docs that need no hours, with a folder or key put in where they name one."""
    commands = {command for page in PAGES for command in documented(page.read_text(encoding="utf-8"))}
    chosen = {command for command in commands if any(re.fullmatch(pattern, command) for pattern in RUN_HERE)}
    assert chosen
    for command in sorted(chosen, key=lambda command: "make_phantoms" not in command):
        words = [{"KEY": key, "DIR": "figures", "TARGET": "data/ACDC"}.get(word, word) for word in words_of(command)]
        if "dainet" in words:
            ask(root, *words[words.index("dainet") + 1 :], answer="n\n")
        else:
            call(root, *words)


def check_regenerated(root: Path) -> None:
    """One small notebook is executed in place and normalized."""
    path = root / "notebooks" / "01_small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(1 + 1)")]), path)
    assert path.name in call(root, "dainet", "notebooks")
    (cell,) = nbformat.read(path, as_version=4).cells
    assert cell.outputs[0].text == "2\n"
