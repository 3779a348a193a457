"""What tells one run from another: its settings and the name of its data, as they may be published, without paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PureWindowsPath
from typing import Any

from dainet.cache.records import content_hash
from dainet.settings import Settings

__all__ = ["other_settings", "public_settings", "run_hash", "source_name"]

_PATHS = (
    *(("data", "source"), ("data", "split"), ("data", "spacing")),
    *(("vit", "weights"), ("segmentation", "pretrained"), ("attention", "maps"), ("segmentation", "loss")),
)
# Settings that came later, left out at their defaults: so the records of before stay those of the same run.
# Leaving out every default would change the hashes of before, which hold those of all other settings.
_LATER = (
    *(("segmentation", "pretrained"), ("dino", "keep_every")),
    *(("data", "slice_axis"), ("data", "spacing")),
    *(("attention", "maps"), ("segmentation", "loss")),
)
# How a run computes, which makes no other run.
_HOW = ("device", "attention.compile", "dino.compile", "segmentation.compile")


def source_name(settings: Settings) -> str:
    """Return the name of the folder with the scans, without its path; empty for phantoms."""
    source = settings.data.source
    return "" if source == "phantom" else " ".join(_name(os.path.abspath(source)).split())


def public_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings as they may be published: files and folders by name, without their paths."""
    values = _dumped(settings, {"output"})
    for section, name in _PATHS:
        if name in values[section]:
            values[section][name] = _name(values[section][name])
    name = source_name(settings)
    values["data"]["source"] = {"": "phantom", "phantom": "./phantom"}.get(name, name)  # a folder of that name
    return values


def other_settings(record: Mapping[str, Any], settings: Settings) -> str:
    """Say in which settings a record differs from these; empty where both are the same run.

    Files and folders are compared with their paths; where, on which device and whether compiled a run computes makes no
    other run.
    """
    if not isinstance(record.get("settings"), dict):
        return "its record cannot be read"
    now, then = _flat(public_settings(settings)), _flat(record["settings"])
    different = [name for name in sorted(now | then) if now.get(name) != then.get(name) and name not in _HOW]
    if not different and record.get("run", run_hash(settings)) != run_hash(settings):
        return "other files or folders of the same names"
    return "; ".join(f"{name}: {then.get(name, 'none')}, here {now.get(name, 'none')}" for name in different)


def run_hash(settings: Settings) -> str:
    """Return a hash of all settings that make a run, with the paths that `public_settings` leaves out."""
    values = _dumped(settings, {"output", "device"})
    del values["dino"]["compile"]
    for section in ("attention", "segmentation"):
        values[section]["compile"] = False  # as in the records of before it could be empty
    for section, name in _PATHS:
        if os.sep in values[section].get(name, ""):  # a path, not a name such as "hub"
            values[section][name] = os.path.realpath(values[section][name])
    return content_hash(values)


def _dumped(settings: Settings, without: set[str]) -> dict[str, Any]:
    values, defaults = settings.model_dump(mode="json", exclude=without), Settings().model_dump(mode="json")
    for section, name in _LATER:
        if values[section][name] == defaults[section][name]:
            del values[section][name]
    return values


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _name(path: str) -> str:
    return PureWindowsPath(path).name  # splits at / and at \\
