"""What a run reads besides its code, found from its settings and its plan, so that a pack forgets none of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dainet.compare.files import CODE_NAMES, found_from, names_a_file
from dainet.compare.plan import Plan, read_plan
from dainet.errors import InputError
from dainet.places import input_path
from dainet.segmentation.catalog import takes
from dainet.segmentation.outside import is_outside
from dainet.segmentation.source_files import find_source, followed
from dainet.transfer.packing import find_below, find_scans, find_weights

__all__ = ["find_inputs"]

log = logging.getLogger(__name__)
_WITHOUT_FILE = ("tour", "random")  # weights that come with the kit, or are drawn


def find_inputs(given: Mapping[str, Any], plan: Path | None = None) -> dict[str, Path]:
    """Return the files that a run reads, by their names in a pack.

    Scans lie below data/ and weights of the ViT below weights/. A plan, its folds, tables, given maps, weights of
    competitors and code lie below inputs/, as they lie here from the innermost folder that holds them all.

    Args:
        given: settings by dotted name; they take the place of what the plan says in `where`.
        plan: file of a plan of `dainet.compare`.

    Raises:
        InputError: something that is named is not there, or the plan cannot be read.
    """
    read = read_plan(plan) if plan else None
    planned = {name: found_from(read.folder, name, value) for name, value in read.where.items()} if read else {}
    where = {**planned, **given}
    source, weights = str(where.pop("data.source", "phantom")), str(where.pop("vit.weights", "tour"))
    found = {} if source == "phantom" else find_scans(input_path(source))
    found |= {} if weights in _WITHOUT_FILE else find_weights(input_path(weights))
    items = [path for name, value in where.items() for path in _files(Path(), name, value)]
    if plan and read:
        _warn_of_weights(read, given)
        items += [Path(os.path.abspath(plan)), *_plan_files(read)]
    home = os.path.commonpath([item.parent for item in items]) if items else ""
    for item in items:
        name = "/".join(("inputs", *item.relative_to(home).parts))
        found |= find_below(item, name) if item.is_dir() else {name: item}
    return found


def _warn_of_weights(plan: Plan, given: Mapping[str, Any]) -> None:
    """Log where networks of a plan need a ViT that is fetched from a hub, which the other machine cannot reach."""
    known = [each for each in plan.trainings() if not is_outside(each.network)]
    needing = [each for each in known if takes(each.network) != "image"]
    if any(each.settings(given).vit.weights == "hub" for each in needing):
        log.warning("%s: the ViT of its networks is fetched from a hub; pack a file with --weights", plan.name)


def _plan_files(plan: Plan) -> Iterator[Path]:
    """Yield what a plan names: folds, and the files of its settings and networks."""
    named: list[tuple[str, Any]] = [("data.split", fold) for fold in plan.folds]
    named += plan.settings.items()
    for row in plan.networks.values():
        named += [("network", row.network), *row.settings.items()]
    for name, value in named:
        yield from _files(plan.folder, name, value)


def _files(folder: Path, name: str, value: Any) -> Iterator[Path]:
    """Yield the absolute path of a file or folder that a value names from a folder; of code, what it imports too.

    A module by its dotted name is installed on the other machine, or it cannot be imported there.
    """
    if not names_a_file(name, value):
        return
    file = value.rpartition(":")[0] if name in CODE_NAMES else value
    if name in CODE_NAMES and not file.endswith(".py"):
        return
    beside = folder / file
    path = Path(os.path.abspath(beside if beside.exists() else input_path(file)))  # links keep their names
    if not path.exists():
        raise InputError(f"{name}: {file} is not there; expected the file or folder that the run reads")
    yield path
    if name in CODE_NAMES:
        source = find_source(str(path), path.name)
        yield from (path.parent / each.relative_to(source.root) for each in followed(source))
