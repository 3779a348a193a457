"""Laying out a pack: nothing that is here is overwritten, and a finished stage appears whole or not at all."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from dainet.cache.folders import PARTIAL, explained_disk, figures_folder, runs_folder
from dainet.cache.locks import named_lock, stage_lock, try_lock
from dainet.cache.records import hash_file, provenance
from dainet.cache.references import remember_figures
from dainet.errors import InputError
from dainet.places import repository_root
from dainet.transfer.packing import CODE
from dainet.transfer.parts import read_files, read_manifest

__all__ = ["Unpacked", "unpack"]

log = logging.getLogger(__name__)
_PLACES = ("data", "figures", "inputs", "runs", "weights")
_KINDS = ("scores", "histories", "records")  # folders of a plan, with a file of each training


class Unpacked(NamedTuple):
    """Numbers of files that are new here and that were left out, and names of those that differ from the ones here."""

    new: int
    left_out: int
    different: list[str]


def unpack(folder: Path) -> Unpacked:
    """Lay out a pack: stages in the cache, results with the figures, all else in the repository or working directory.

    Where a result differs from the one here, all files of its training stay out, so that scores never stand beside the
    record of another one.

    Raises:
        InputError: the pack is incomplete or damaged, or holds code and this is the code of another commit.
    """
    manifest = read_manifest(folder)
    _check_commit(manifest)
    with explained_disk(runs_folder(), "another folder in DAINET_RUNS"), named_lock("unpack"):
        return _lay_out(folder, manifest)


def _lay_out(folder: Path, manifest: Mapping[str, Any]) -> Unpacked:
    content = {name: digest for name, digest in manifest["content"].items() if not _finished_here(name)}
    targets = {name: _target(name) for name in content}
    for done in _finished_stages(content):  # what an unpacking that was killed has left
        shutil.rmtree(_hidden(done), ignore_errors=True)
    there = {name: hash_file(path) for name, path in targets.items() if path.exists()}
    different = sorted(name for name, digest in there.items() if digest != content[name])
    results = {_result(name) for name in different if name.startswith("figures/")}
    new = [name for name in sorted(content) if name not in there and _result(name) not in results]
    read_files(folder, manifest, {name: targets[name] for name in new})
    if any(name.startswith("figures/") for name in new):
        remember_figures(figures_folder())
    left_out = {_hidden(done) for done in _finished_stages(content) if not _finish(done)}
    new = [name for name in new if left_out.isdisjoint(targets[name].parents)]
    return Unpacked(len(new), len(manifest["content"]) - len(new) - len(different), different)


def _result(name: str) -> tuple[PurePosixPath, str]:
    """Return what a file among the figures belongs to: the folder of a plan or run, and the name of a training."""
    path = PurePosixPath(name)
    return path.parent.parent if path.parent.name in _KINDS else path.parent, path.stem


def _check_commit(manifest: Mapping[str, Any]) -> None:
    packed, here = manifest["commit"], provenance()["git"]
    if packed == here:
        return
    if CODE in manifest["plain"]:
        raise InputError(f"packed at commit {packed}, and this is {here}; run the code of the pack ({CODE})")
    log.warning("packed at commit %s, and this is %s", packed, here)


def _target(name: str) -> Path:
    """Return where a file belongs; files of a finished stage go into a hidden folder first.

    Raises:
        InputError: the name leads elsewhere.
    """
    place, *rest = name.split("/")
    if place not in _PLACES or len(rest) < (3 if place == "runs" else 1) or {"", ".", ".."} & set(rest):
        raise InputError(f"the pack has a file {name!r}; expected relative names below {', '.join(_PLACES)}")
    if place == "figures":
        return figures_folder().joinpath(*rest)
    if place != "runs":
        return repository_root().joinpath(place, *rest)
    stage, key, *inside = rest
    folder = runs_folder() / stage / key
    return (folder if key.endswith(PARTIAL) else _hidden(folder)).joinpath(*inside)


def _hidden(done: Path) -> Path:
    return done.with_name(f".{done.name}")


def _finished_here(name: str) -> bool:
    place, stage, key = (*name.split("/"), "", "")[:3]
    return place == "runs" and (runs_folder() / stage / key.removesuffix(PARTIAL)).is_dir()


def _finished_stages(names: Iterable[str]) -> list[Path]:
    """List the folders that the finished stages of a pack are to have."""
    stages = {tuple(name.split("/")[1:3]) for name in names if name.startswith("runs/")}
    return [runs_folder().joinpath(*each) for each in sorted(stages) if not each[-1].endswith(PARTIAL)]


def _finish(done: Path) -> bool:
    """Give a stage its name and return True; remove it where this one is here by now, or is being computed."""
    lock = try_lock(stage_lock(done))
    if lock is None:
        log.warning("%s %s is being computed here; that of the pack is left out", done.parent.name, done.name)
    else:
        try:
            if not os.path.lexists(done):
                os.replace(_hidden(done), done)
                return True
        finally:
            lock.release()
    shutil.rmtree(_hidden(done))
    return False
