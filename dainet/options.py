"""Options that several command lines share, and the settings that they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from dainet.settings import parse_override

__all__ = ["Dataset", "Device", "Profile", "Set", "Source", "Weights", "overrides"]

Dataset = Annotated[str | None, typer.Option(help="data set: acdc, synapse, custom")]
Source = Annotated[str | None, typer.Option(help='"phantom", or the folder with the scans')]
Profile = Annotated[str, typer.Option(help="tour, laptop or paper")]
Weights = Annotated[str | None, typer.Option(help='ViT: "hub", "tour", "random", a timm name, or a file')]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps")]
Set = Annotated[list[str] | None, typer.Option("--set", help="any setting, such as dino.epochs=2")]

_PATHS = ("data.source", "data.split", "vit.weights")


def overrides(
    dataset: str | None = None,
    source: str | None = None,
    weights: str | None = None,
    device: str | None = None,
    items: list[str] | None = None,
) -> dict[str, Any]:
    """Settings by dotted name, of those options that were given; files that exist become absolute.

    Notebooks run in their own folder, so what is given relative to this one would be sought in the wrong place.

    Raises:
        ValueError: an item of --set is not of the form name=value.
    """
    named = {"data.dataset": dataset, "data.source": source, "vit.weights": weights, "device": device}
    given = {name: value for name, value in named.items() if value is not None}
    return _absolute(given | dict(parse_override(item) for item in items or []))


def _absolute(given: dict[str, Any]) -> dict[str, Any]:
    # Not Path.expanduser, which raises for a home that does not exist.
    places = {name: os.path.expanduser(given[name]) for name in _PATHS if isinstance(given.get(name), str)}
    found = {name: str(Path(place).resolve()) for name, place in places.items() if os.path.exists(place)}
    return given | found
