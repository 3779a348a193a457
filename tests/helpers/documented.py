"""The commands that README and docs tell a reader to type, and whether such a command can be meant at all."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import subprocess
import tomllib
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import snakemake.cli
import typer

from dainet.options import overrides
from dainet.settings import load_settings
from tests.helpers import REPOSITORY

PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")),
    *(REPOSITORY / folder / "README.md" for folder in ("notebooks", "teaching", "benchmarks")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
]

# Run by tests/end_to_end/test_commands.py as they are written, on what `dainet reproduce` has left.
RUN_HERE = (
    "(python -m )?dainet runs( --why KEY| --prune)?",
    "(python -m )?dainet verify (figures|DIR)",
    "python data_scripts/prepare.py check --dataset acdc --source data/ACDC",
    "python data_scripts/make_phantoms.py TARGET",
    "dainet card tour",
)
# Not run as they are written; why, and what stands in for them. That they exist is checked for all.
NOT_RUN_HERE = {
    r"(make reproduce|(\S+ -m |\.venv/bin/)?dainet reproduce)( .*)?": "hours; test_commands.py runs a small one",
    r"(make|dainet) explorer( .*)?": "serves until it is interrupted; test_commands.py starts one and interrupts it",
    r"dainet export .*": "needs a training; tests/inference/test_bundle.py exports small ones",
    r"make notebooks": "minutes; test_commands.py runs the command on one small notebook",
    r"python -m dainet more-seeds": "a quarter of an hour; tests/lessons/test_more_seeds.py",
    r"python -m dainet competitors": "half an hour; tests/lessons/test_competitors.py",
    r"python -m dainet gain": "half an hour; tests/lessons/test_gain.py",
    r"python -m dainet stage .*": "minutes; test_commands.py runs every stage with small settings",
    r"python data_scripts/prepare.py check --dataset custom .*": "needs scans of your own; tests/data/test_check.py",
    r"make( setup| format| lint| test| test-notebooks| test-all)+": "installs, or runs this very test",
    r"make help": "test_repository.py",
    r"python -m dainet verify runs/STAGE/KEY": "names a stage; tests/cache/test_verify.py verifies some",
    r"python -m dainet verify study/plans": "needs the repository; tests/study/test_folds.py does it",
    r"make bench( ARGS=--device=cuda)?": "half an hour, or a GPU; tests/benchmarks runs the parts",
    r"python -m pytest -m gpu( tests/gpu)?": "needs a GPU; tests/gpu is skipped without one",
    r"make book(-pdf)?": "writes into the repository; tests/book reads what it builds",
    r"python -m book.live.export": "needs trainings; tests/book exports small networks",
    r"make teaching": "writes into the repository; tests/teaching/test_build.py builds into another folder",
    r"make report": "tests/study/test_typeset.py",
    r"make results": "rewrites committed files; tests/study/test_report.py compares them with the scores",
    r"python -m study placebo": "minutes; tests/study/test_placebo.py simulates fewer rounds",
    r"(python -m )?dainet compare report .*": "needs trainings; tests/compare/test_report.py",
    r"python -m study rehearse": "writes figures/rehearsal; tests/study/test_next_report.py",
    r"(python -m )?dainet compare run .*": "needs real scans and hours; tests/compare/test_run.py",
    r"python -m study spread near-paper": "needs two whole waves; tests/study/test_next_report.py",
    r"python -m study extremes chaos": "needs trainings; tests/study/test_extremes.py draws a small plan",
    r"python -m study sides chaos": "needs trainings; tests/study/test_sides.py scores a small plan",
    r"python -m study dino-course( .*)?": "needs real scans and a GPU; tests/study/test_dino_course.py",
    r"dainet compare plan .*": "writes a plan and measures; tests/compare/test_new_plan.py plans tiny ones",
    r"dainet attention .*": "needs scans of your own; tests/inference/test_attention.py",
    r"(\.venv/bin/)?dainet predict .*": "needs scans of your own; tests/inference/test_predict.py",
    r"python -m dainet (un)?pack( .*)?": "needs real scans; tests/transfer",
    r"(OMP_NUM_THREADS=1 )?python -m benchmarks\..*": "minutes; tests/benchmarks",
    r"python -m tests\.helpers\.killing .*": "hours; tests/end_to_end/test_killing.py kills fewer times",
    r"python -m tests\.helpers\.fuzzing .*": "minutes; tests/data/test_fuzz.py damages fewer files",
    r"(.*=\S+ )?python data_scripts/download_.*": "needs the network; tests/data/download uses local servers",
    r"pip install .*": "needs the network",
    r"(DAINET_RUNS=\S+ )?snakemake .*": "hours on a cluster; tests/end_to_end/test_workflow.py",
    r"\.venv/bin/jupyter lab": "waits for a person; tests/end_to_end/test_browser.py",
    r"\.venv/bin/python \.\.\.|python -m dainet": "the name of a program, not a line to type",
}
_COMMAND = r"(?:[A-Z_]+=\S* +)*(?:\.venv/bin/\w+|make|pip|python|dainet|snakemake)"
_OUR_APPS = ("dainet", "study")  # benchmarks needs what only the extra `bench` brings


def documented(text: str) -> list[str]:
    """Commands in a page: lines of code blocks without their comments, and code within sentences that has arguments."""
    text = re.sub(r"\\\n\s*", " ", text)
    fenced = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
    shell = [code for language, code in fenced.findall(text) if language in ("", "sh", "bash", "console")]
    text = fenced.sub("", text)
    code = "\n".join([*shell, *re.findall(r"^ {4}.*$", text, flags=re.MULTILINE)])
    lines = re.findall(rf"^ *(?:\$ )?({_COMMAND} .*)$", code, flags=re.MULTILINE)
    spans = re.findall(rf"`({_COMMAND}\s[^`]+)`", text)
    return [" ".join(re.split(r"\s+#\s", found)[0].split()) for found in lines + spans]


def words_of(command: str) -> list[str]:
    """Program and arguments, without variables before and the folder of the environment."""
    words = shlex.split(command)
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return [words[0].removeprefix(".venv/bin/"), *words[1:]]


def check_command(command: str) -> None:
    """Raise an error where the program, a target, a command, an option or a setting does not exist."""
    program, *arguments = words_of(command)
    if "..." in arguments:
        return
    if program == "make":
        _check_make(arguments)
    elif program == "pip":
        _check_extras(arguments)
    elif program == "dainet":
        _check_app(import_module("dainet.__main__").app, arguments)
    elif program == "python" and arguments[0] == "-m":
        _check_module(arguments[1], arguments[2:])
    elif program == "python":
        _check_app(runpy.run_path(str(REPOSITORY / arguments[0]))["app"], arguments[1:])
    elif program == "snakemake":
        snakemake.cli.get_argument_parser().parse_args(arguments)
    else:
        assert importlib.util.find_spec(program), program


def _check_make(arguments: Sequence[str]) -> None:
    if any("..." in argument for argument in arguments):
        return
    done = subprocess.run(
        ["make", "--dry-run", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        if re.match(r"\.venv/bin/(dainet|python)\b", line):
            check_command(line)


def _check_extras(arguments: Sequence[str]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {name for argument in arguments for name in re.sub(r".*\[(.*)\]|.*", r"\1", argument).split(",") if name}
    assert named <= set(project["optional-dependencies"]), named


def _check_module(name: str, arguments: Sequence[str]) -> None:
    if name in _OUR_APPS:
        _check_app(import_module(f"{name}.__main__").app, arguments)
    else:
        assert importlib.util.find_spec(name), name


def _check_app(app: typer.Typer, arguments: Sequence[str]) -> None:
    if not arguments:
        return  # the name of a program, not a line to type
    command: Any = typer.main.get_command(app)
    _only_check(command)
    command.main(list(arguments), standalone_mode=False)


def _only_check(command: Any) -> None:
    """Let a command, or each of a group, check its options and do nothing else."""
    if not hasattr(command, "commands"):
        command.callback = _check_settings
    for part in getattr(command, "commands", {}).values():
        _only_check(part)


def _check_settings(**values: Any) -> None:
    if "profile" in values:
        given = [values.get(name) for name in ("dataset", "source", "weights", "device", "set_")]
        load_settings(values["profile"], overrides(*given))
