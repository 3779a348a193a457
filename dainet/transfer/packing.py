"""What travels: scans, weights, code and wheels to a machine without a network; results and stages both ways."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path

from dainet.cache.folders import figures_folder, runs_folder, walk
from dainet.cache.resume import saved_states
from dainet.cache.runs import Run, find_runs
from dainet.cache.store import RECORD, UNFINISHED
from dainet.errors import InputError, unknown
from dainet.places import repository_root

__all__ = [
    "CODE",
    "code_archive",
    "find_below",
    "find_results",
    "find_scans",
    "find_stages",
    "find_states",
    "find_weights",
    "find_wheels",
]

log = logging.getLogger(__name__)

CODE = "code.tar.gz"
_NEVER_READ = "_4d.nii.gz"  # ACDC's films, ten times as large as the frames that are read
_BY_HAND = ".md"  # texts among results, which change at both ends
_NOT_CODE = (":!figures", ":!docs", ":!teaching", ":!book")


def find_scans(source: Path) -> dict[str, Path]:
    """Return the files of a data set by their names in a pack.

    Raises:
        InputError: the source is not a folder, or one below it cannot be listed.
    """
    if not source.is_dir():
        raise InputError(f"source {source} is not a folder; expected that of the scans")
    found = find_below(source, f"data/{source.resolve().name}")
    return {name: path for name, path in found.items() if not name.endswith(_NEVER_READ)}


def find_weights(weights: Path) -> dict[str, Path]:
    """Return a file of weights by its name in a pack.

    Raises:
        InputError: there is no such file.
    """
    if not weights.is_file():
        raise InputError(f"weights {weights} is not a file; names such as hub need a network: fetch the file first")
    return {f"weights/{weights.name}": weights}


def find_results(folder: Path) -> dict[str, Path]:
    """Return figures, tables and records in or below the folder of figures by their names in a pack.

    Raises:
        InputError: the folder is not there, or lies elsewhere.
    """
    home = figures_folder().resolve()
    place = folder.resolve()
    if not folder.is_dir() or not place.is_relative_to(home):
        raise InputError(f"results {folder}; expected a folder in {home}")
    found = find_below(place, "/".join(("figures", *place.relative_to(home).parts)))
    return {name: path for name, path in found.items() if not name.endswith(_BY_HAND)}


def find_stages(names: Sequence[str]) -> dict[str, Path]:
    """Return the files of all finished stages with these names, such as dino, by their names in a pack.

    Raises:
        InputError: the cache has no finished stage of a name.
    """
    finished = [run for run in find_runs() if run.complete]
    for name in names:
        if name not in {run.stage for run in finished}:
            raise unknown("stage", name, sorted({run.stage for run in finished}))
    chosen = [run for run in finished if run.stage in names]
    return {name: path for run in chosen for name, path in find_below(run.path, f"runs/{run.stage}/{run.key}").items()}


def find_states() -> dict[str, Path]:
    """Return of every interrupted training the newest state, what it is to become, and what it keeps until its end."""
    begun = [(run, states[0]) for run in find_runs() if not run.complete and (states := saved_states(run.path))]
    if not begun:
        log.warning("no state in %s, so --states packs none; DAINET_RUNS=FOLDER names another cache", runs_folder())
    files = [
        (run, path)
        for run, state in begun
        for path in (state, run.path / RECORD, *sorted((run.path / UNFINISHED).glob("*/*")))
        if path.is_file()
    ]
    return {_state_name(run, path): path for run, path in files}


def find_wheels(folder: Path) -> dict[str, bytes]:
    """Return the wheels in a folder, for `pip install --no-index` there.

    Raises:
        InputError: it has none.
    """
    found = {f"wheels/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.whl"))}
    if not found:
        raise InputError(f"wheels {folder} has no .whl files; fetch them with pip download, as study/slice.sh does")
    return found


def code_archive() -> bytes:
    """Return the last commit as .tar.gz, without figures, pages and what only teaching needs.

    Raises:
        InputError: this is not a git checkout, or it has changes that are in no commit.
    """
    if _git("status", "--porcelain", "--untracked-files=no"):
        raise InputError("changes that are in no commit would not travel with --code; commit them first")
    return _git("archive", "--format=tar.gz", "HEAD", ".", *_NOT_CODE)


def _git(*words: str) -> bytes:
    root = repository_root()
    try:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"--code needs git and a checkout of the kit; {root} is none") from error


def find_below(folder: Path, name: str) -> dict[str, Path]:
    """Return the files below a folder, without hidden ones, by their names in a pack, where its own is `name`."""
    return {
        "/".join((name, *place.relative_to(folder).parts, file)): place / file
        for place, _, files in walk(folder, _refuse)
        for file in files
    }


def _refuse(error: OSError) -> None:
    raise InputError(f"folder {error.filename} cannot be listed ({error.strerror}); allow reading it") from error


def _state_name(run: Run, path: Path) -> str:
    return "/".join(("runs", run.stage, *path.relative_to(run.path.parent).parts))
