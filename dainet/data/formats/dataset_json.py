"""What nnU-Net's dataset.json says: classes and their colors, the kind of gray values, and which files belong together.

nnU-Net v1, the Decathlon and AMOS write {"labels": {"1": "liver"}, "modality", "training": [{"image", "label"}]};
nnU-Net v2 writes {"labels": {"liver": 1}, "channel_names"}, and may add {"dataset": {"name": {"images", "label"}}}.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from matplotlib.colors import is_color_like, to_hex

from dainet.data.colors import class_colors
from dainet.data.volume import DataError
from dainet.errors import reason
from dainet.protocol import Classes

__all__ = ["DatasetDescription", "listed_files", "read_description"]

_TAKEN = {"any", "mean", "Method", "By", "Difference", "Failed"}  # what stands next to classes in tables of results
_IGNORE = "ignore"  # nnU-Net's name for the label of voxels that nobody annotated


@dataclass(frozen=True)
class DatasetDescription:
    """Content of dataset.json."""

    classes: Classes
    is_ct: bool  # the gray values are Hounsfield units
    ignored: int | None  # value of the label "ignore", which is not a class
    announced: int | None  # number of volumes, by numTraining


def read_description(path: Path) -> DatasetDescription:
    """Read dataset.json in UTF-8, UTF-16 or UTF-32, with or without a byte-order mark.

    An entry "colors" (or "colours"), such as {"liver": "#aa0000"}, sets the colors of classes; nnU-Net ignores it.

    Raises:
        DataError: the file is not a JSON object, its labels are not 0, 1, 2 ..., or it names regions, several
            channels, or a class as another one or as a column of tables.
    """
    try:
        content = json.loads(path.read_bytes())
        labels, channels = content["labels"], content.get("channel_names") or content.get("modality") or {}
        names, ignored = _label_names(labels)
        given = content.get("colors", content.get("colours", {}))
        colors = [given.get(name, own) for name, own in zip(names, class_colors(len(names)), strict=True)]
        channel = " ".join(map(str, channels.values()))
        announced = content.get("numTraining")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        found = shorten(f"{type(error).__name__}: {reason(error, path)}", 300)
        raise DataError(
            f"{path.name}: {found}; expected nnU-Net's dataset.json with channel_names and "
            '"labels": {"background": 0, "name": 1, ...}'
        ) from error
    _check_names(names, path.name)
    if len(channels) > 1:
        raise DataError(
            f"{path.name}: the channels {shorten(channel, 200)}; the kit takes one; make a data set with one channel"
        )
    wrong = [color for color in colors if not is_color_like(color)]
    if wrong:
        raise DataError(f"{path.name}: {shorten(repr(wrong[0]), 80)} is not a color; write it as #rrggbb")
    classes = Classes(names, tuple(map(to_hex, colors)))
    counted = announced if isinstance(announced, int) else None
    return DatasetDescription(classes, channel.upper() == "CT", ignored, counted)


def listed_files(path: Path) -> dict[Path, Path]:
    """Return the image of each label that dataset.json lists; nothing if it lists none or cannot be read.

    `read_description` reports why a file cannot be read.
    """
    try:
        content = json.loads(path.read_bytes())
        return {_beside(path, label): _beside(path, image) for image, label in _entries(content)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _entries(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in content.get("training") or ():
        yield entry["image"], entry["label"]
    for entry in (content.get("dataset") or {}).values():
        yield entry["images"][0], entry["label"]


def _beside(path: Path, listed: str) -> Path:
    """Return the path of a listed file, without ".." and with slashes of this system."""
    return Path(os.path.normpath(path.parent / listed.replace("\\", "/")))


def _label_names(labels: dict[str, Any]) -> tuple[tuple[str, ...], int | None]:
    """Names of the labels 1, 2, 3 ... in order, and the value of the label "ignore" if there is one."""
    regions = [name for name, value in labels.items() if isinstance(value, list)]
    if regions:
        found = ", ".join(f'"{name}": {labels[name]}' for name in regions)
        raise ValueError(f"the regions {found}; the kit takes plain labels; give every class one number of its own")
    old = all(key.isdigit() for key in labels)
    pairs = [(int(key), str(name)) if old else (name, key) for key, name in labels.items()]
    ignored = next((number for number, name in pairs if name.lower() == _IGNORE), None)
    numbered = {number: name for number, name in pairs if name.lower() != _IGNORE}
    expected = len(labels) - (ignored is not None)
    if sorted(numbered) != list(range(expected)) or expected < 2:
        raise ValueError(f"labels {labels}; expected the whole numbers 0, 1, 2 ... once each")
    return tuple(numbered[number] for number in range(1, expected)), ignored


def _check_names(names: tuple[str, ...], file: str) -> None:
    for name in names:
        if name in _TAKEN or names.count(name) > 1:
            found = "a column of tables" if name in _TAKEN else "another class, too"
            raise DataError(f"{file}: the class {shorten(repr(name), 80)} is the name of {found}; rename it")
