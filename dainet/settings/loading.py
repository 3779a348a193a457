"""From a profile and single overrides to settings; what is wrong is named."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Iterable, Mapping
from importlib.resources import files
from textwrap import shorten
from typing import Any

import yaml
from pydantic import ValidationError

from dainet.errors import InputError, unknown
from dainet.settings.groups import Settings

__all__ = ["load_settings", "parse_override", "parse_overrides", "profile_names"]

# Old names of settings, still taken: -> today's.
_RENAMED = {
    "attention.normalisation": "attention.normalization",
    "data.normalisation": "data.normalization",
    "dino.centring": "dino.centering",
}


def profile_names() -> tuple[str, ...]:
    """List the shipped profiles, which are YAML files in dainet/profiles."""
    return tuple(sorted(f.name.removesuffix(".yaml") for f in _profiles().iterdir() if f.name.endswith(".yaml")))


def load_settings(profile: str = "tour", overrides: Mapping[str, Any] | None = None) -> Settings:
    """Load a profile, with single values overridden: {"segmentation.epochs": 5} or {"segmentation": {"epochs": 5}}.

    Raises:
        InputError: the profile or a name is unknown, a value has the wrong type or range, an override names a
            profile, or the overrides are no mapping; the message names it.
    """
    if profile not in profile_names():
        raise unknown("profile", profile, profile_names())
    if not isinstance(overrides, Mapping | None):
        raise InputError(
            f'overrides: found {_shown(overrides)}; expected names with values, as in {{"dino.epochs": 2}}'
        )
    overrides = _dotted(overrides or {})
    if "profile" in overrides:
        raise InputError(
            f"setting profile: found {_shown(overrides['profile'])} next to the profile {profile}, whose values it "
            f"would only rename; use --profile, in a notebook PROFILE, with one of {', '.join(profile_names())}"
        )
    file = _profiles().joinpath(f"{profile}.yaml")
    values = _group(_read_yaml(file.read_bytes(), file.name), file.name)
    values["profile"] = profile
    by_dataset = _group(values.pop("for_dataset", {}), f"{file.name}: for_dataset")
    dataset = overrides.get("data.dataset")
    of_dataset = by_dataset.get(dataset, {}) if isinstance(dataset, str) else {}
    for name, value in (_group(of_dataset, f"{file.name}: for_dataset") | overrides).items():
        _set(values, str(name), value)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise InputError(shorten(_explain(error), 1000)) from error


def _dotted(overrides: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """Write nested overrides by dotted name, so that they join a section of the profile and do not replace it."""
    flat, known = dict[str, Any](), _all_names()
    for name, value in overrides.items():
        nested = isinstance(value, Mapping) and f"{section}{name}" not in known
        flat |= _dotted(value, f"{section}{name}.") if nested else {f"{section}{name}": value}
    return flat


def parse_override(item: str) -> tuple[str, Any]:
    """Split `name=value` into the name and the value, which is written as YAML.

    Raises:
        InputError: no equals sign, or a value that is not YAML; it can only become a plain value.
    """
    name, equals, value = item.partition("=")
    if not equals:
        raise InputError(f"--set {reprlib.repr(item)}: expected name=value, such as dino.epochs=2")
    return name, _read_yaml(value, f"--set {shorten(name, 80)}")


def parse_overrides(items: Iterable[str]) -> dict[str, Any]:
    """Read items of the form `name=value` as settings by dotted name, also data={split: x}; of two, the later counts.

    Raises:
        InputError: as `parse_override`.
    """
    given: dict[str, Any] = {}
    for name, value in map(parse_override, items):
        given |= _dotted({name: value})
    return given


def _read_yaml(text: str | bytes, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except Exception as error:  # YAML also raises other errors, for numbers, dates and nested lists
        said = shorten(f"{type(error).__name__}: {error}", 200)
        raise InputError(f"{where}: not YAML ({said}); put quotes around text, or see dainet/profiles") from error


def _group(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where}: found {_shown(value)}; expected settings as name: value")
    return value


def _profiles() -> Any:
    return files("dainet").joinpath("profiles")


def _set(values: dict[str, Any], name: str, value: Any) -> None:
    if name in _RENAMED:
        message = f"setting {name} is called {_RENAMED[name]} now; use that name, the old one will go"
        warnings.warn(message, FutureWarning, stacklevel=3)
        name = _RENAMED[name]
    section, _, field = name.rpartition(".")
    if section in _all_names():
        raise unknown("setting", name, [section])
    target = _group(values.setdefault(section, {}), f"setting {section}") if section else values
    target[field] = value


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        name = ".".join(map(str, item["loc"]))
        if item["type"] == "extra_forbidden":
            lines.append(str(unknown("setting", name, _known_names(name))))
        else:
            lines.append(f"setting {name}: {item['msg'].removeprefix('Value error, ')} (found {_shown(item['input'])})")
    return "; ".join(lines)


def _shown(value: Any) -> str:
    try:
        return shorten(reprlib.repr(value), 100)
    except ValueError:  # Python refuses to write whole numbers of more than 4300 digits
        return "a number of more than 4300 digits"


def _known_names(name: str) -> list[str]:
    """Return the dotted names of the settings in the section of `name`, or those of its name where it lacks one."""
    section, _, field = name.rpartition(".")
    section = section if section in Settings.model_fields else ""
    model: Any = Settings.model_fields[section].annotation if section else Settings
    own = [f"{section}.{known}".lstrip(".") for known in getattr(model, "model_fields", {})]
    elsewhere = [dotted for dotted in _all_names() if not section and dotted.endswith(f".{field}")]
    return elsewhere or own


def _all_names() -> list[str]:
    """Return the dotted names of all settings."""
    sections = {name: getattr(item.annotation, "model_fields", None) for name, item in Settings.model_fields.items()}
    return [f"{name}.{field}" for name, fields in sections.items() for field in fields or ()]
