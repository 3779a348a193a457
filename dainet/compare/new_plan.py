"""Writing a plan: networks named on the command line, folds, seeds and a margin become a file that people can read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dainet.cache.atomic import write_complete
from dainet.cache.folders import figures_folder
from dainet.compare.files import found_from, named_from
from dainet.compare.folds import write_folds
from dainet.compare.plan import Network, Plan, plan_hash, read_plan
from dainet.errors import InputError
from dainet.jobs.preflight import check_training
from dainet.settings import load_settings, parse_overrides

__all__ = ["check_networks", "check_new", "named_networks", "split_overrides", "write_plan"]

_WHERE = ("data.source", "vit.weights", "device")
_PLANNED = {"data.split": "--folds", "segmentation.seeds": "--seeds"}  # settings that the plan itself gives
_SHARED = ("data.dataset", "data.source")  # no network of a comparison has its own
_LABEL = re.compile(r"[A-Za-z0-9][\w.+-]*")
_COMMENTS = {
    "settings": "of all networks, next to those of the profile",
    "folds": "every patient is tested in one of them",
    "networks": "name in tables: what is built, and the settings that are its own; files from this file's folder",
    "waves": "trainings that count together or not at all: one seed of these networks in every fold",
    "margin": "points of DSC; a difference within -margin to +margin counts as none (equivalent)",
    "comparisons": "first - second; only a primary one has a verdict",
    "analysis": "interval over patients and trainings (docs/claims.md, Analysis)",
    "spread": "assumed for the power that was printed",
    "where": "this machine; does not count as part of the plan, and options of the command line go first",
    "sha256": "of all that counts, as written; another content is another plan",
}
_HEAD = """\
# Written by `dainet compare plan` before the first training. `dainet compare run {name}.yaml` trains what is missing.
# Do not edit it after that: an edited plan is another plan, and the report says so.
"""
_ORDER = ("name", "title", "profile", *_COMMENTS)


def named_networks(words: Sequence[str], shared: Mapping[str, Any], folder: Path) -> dict[str, Network]:
    """Read networks as the command line names them: NETWORK, or LABEL=NETWORK,SETTING=VALUE,... with settings.

    Args:
        words: a label is what tables show; without one it is the network's name, of code from outside that of the
            callable.
        shared: settings of all networks.
        folder: of the plan, from which files are named in it.

    Raises:
        InputError: a label stands there twice or is not a file name, or a setting may not differ between networks.
    """
    rows: dict[str, Network] = {}
    for word in words:
        first, *pairs = re.split(r",(?=[\w.]+=)", word)
        label, network = first.split("=", 1) if "=" in first else ("", first)
        label = label or network.rpartition(":")[2]
        if label in rows or not _LABEL.fullmatch(label):
            found = f"the label {label} stands for two networks" if label in rows else f"{label!r} is not a label"
            raise InputError(f"{word}: {found}; give it another one of letters and digits, as in LABEL={network}")
        settings = parse_overrides(pairs)
        if wrong := sorted(settings.keys() & {*_SHARED, *_PLANNED, *_WHERE}):
            raise InputError(f"{word}: {wrong[0]} cannot be the setting of one network; the plan gives it for all")
        rows[label] = _row(network, settings, shared, folder)
    return rows


def split_overrides(given: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split settings into those that belong to a plan in this folder, and those that say what this machine has.

    Raises:
        InputError: a setting is among them that the plan itself gives.
    """
    if wrong := sorted(given.keys() & _PLANNED.keys()):
        raise InputError(f"--set {wrong[0]}: the plan gives it; use {_PLANNED[wrong[0]]}")
    shared = {name: named_from(folder, name, value) for name, value in given.items() if name not in _WHERE}
    return shared, {"data.source": "phantom"} | {name: given[name] for name in _WHERE if name in given}


def check_new(path: Path) -> None:
    """Refuse to write a plan over another one, or over one of the same name that has trainings.

    Raises:
        InputError: the message says what is there.
    """
    results = figures_folder() / path.stem
    there = [each for each in (path, path.with_suffix(""), results) if each.exists()]
    if path.suffix != ".yaml" or not _LABEL.fullmatch(path.stem):
        raise InputError(f"--output {path.name}: expected a name of letters and digits that ends in .yaml")
    if there:
        what = "holds results of a plan of this name" if there[0] == results else "is there already"
        raise InputError(f"{there[0]} {what}; a plan is never overwritten: give another --output, or move it away")


def check_networks(rows: Mapping[str, Network], profile: str, given: Mapping[str, Any], folder: Path) -> None:
    """Refuse networks, settings, paths and devices that would stop a training later.

    Raises:
        InputError: see `dainet.jobs.preflight.check_training` and `dainet.settings.load_settings`.
    """
    if len(rows) < 2:
        raise InputError(f"found {' '.join(rows) or 'no network'}; expected two networks or more to compare")
    for row in rows.values():
        network = found_from(folder, "network", row.network)
        own = {name: found_from(folder, name, value) for name, value in row.settings.items()}
        check_training(load_settings(profile, {**given, **own}), network)


def write_plan(
    path: Path, fields: Mapping[str, Any], rows: Mapping[str, Network], seeds: int, folds: Sequence[Mapping[str, str]]
) -> Plan:
    """Write a plan and its folds, and return it as it was read back.

    Args:
        path: of the plan, a .yaml; its folds are written to the folder of the same name next to it.
        fields: profile, settings, margin, spread and where.
        rows: see `named_networks`; the first two are the primary comparison.
        seeds: number of waves, which have the seeds 1, 2, ...
        folds: see `dainet.compare.folds.deal`.
    """
    folder = path.with_suffix("")
    folder.mkdir(parents=True)
    files = [f"{folder.name}/{each.name}" for each in write_folds(folder, folds)]
    first, second, *others = rows
    values = dict(fields) | {"name": path.stem, "folds": files, "folder": path.parent}
    values["title"] = f"{first} compared with {second}"
    values["networks"] = dict(rows)
    values["waves"] = [{"seed": seed, "networks": list(rows)} for seed in range(1, seeds + 1)]
    values["comparisons"] = [_comparison(first, second, "primary")]
    values["comparisons"] += [_comparison(other, second, "exploratory") for other in others]
    plan = Plan.model_validate(values)
    write_complete(path, _text(plan.model_copy(update={"sha256": plan_hash(plan)})))
    return read_plan(path)


def _row(network: str, settings: Mapping[str, Any], shared: Mapping[str, Any], folder: Path) -> Network:
    # Another draw per seed: with a single one, its luck would count as an effect of the network.
    all_ = {**shared, **settings}
    drawn = all_.get("attention.backbone") == "random" and "attention.random_seed" not in all_
    seeded = ("attention.random_seed",) if drawn else ()
    own = {name: named_from(folder, name, value) for name, value in settings.items()}
    return Network(network=named_from(folder, "network", network), settings=own, seeded=seeded)


def _comparison(first: str, second: str, role: str) -> dict[str, str]:
    return {"question": f"is {first} better than {second}", "role": role, "first": first, "second": second}


def _text(plan: Plan) -> str:
    """Return a plan as YAML, in the order of `_ORDER` and with a comment where a name does not say enough."""
    values = plan.model_dump(mode="json", exclude={"folder"})
    for rows in (*values["networks"].values(), *values["comparisons"]):
        for name in [name for name, value in rows.items() if value in ({}, [], None, "")]:
            del rows[name]
    return _HEAD.format(name=plan.name) + "".join(map(_entry, _ORDER, (values[name] for name in _ORDER)))


def _entry(name: str, value: Any) -> str:
    """Return a field as YAML, with its comment: of settings one on a line, of networks and the like one on a line."""
    comment = f"\n# {_COMMENTS[name]}\n" if name in _COMMENTS else ""
    if name == "networks":
        return f"{comment}{name}:\n" + "".join(f"  {_line({label: row})[1:-1]}\n" for label, row in value.items())
    if name in ("waves", "comparisons"):
        return f"{comment}{name}:\n" + "".join(f"  - {_line(row)}\n" for row in value)
    style = None if name == "folds" else False
    return comment + yaml.safe_dump(
        {name: value}, sort_keys=False, default_flow_style=style, width=116, allow_unicode=True
    )


def _line(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=True, width=10_000, allow_unicode=True).strip()
