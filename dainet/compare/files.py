"""How a plan names files: code from outside, weights and tables, relative to its own folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dainet.options import names_a_path
from dainet.places import absolute_path, input_path
from dainet.segmentation.outside import is_outside, outside_label, source_hash

__all__ = ["CODE_NAMES", "found_from", "identity", "named_from", "names_a_file"]

CODE_NAMES = ("network", "segmentation.loss")  # may be FILE.py:NAME or PACKAGE.MODULE:NAME


def names_a_file(name: str, value: Any) -> bool:
    """Say whether a value names a file, or code from outside; `name` is "network" or the dotted name of a setting."""
    return isinstance(value, str) and (is_outside(value) if name in CODE_NAMES else names_a_path(name, value))


def found_from(folder: Path, name: str, value: Any) -> Any:
    """Return a value of a plan as it is used here: for a file that lies there, its whole path."""
    if not names_a_file(name, value):
        return value
    path = absolute_path(folder / _file(name, value))  # the folder of a new plan may not be there yet
    if not path.exists():
        return value
    return f"{path.resolve()}:{value.rpartition(':')[2]}" if name in CODE_NAMES else str(path)


def named_from(folder: Path, name: str, value: Any) -> Any:
    """Return a value as a plan in this folder writes it: of a file that is there, the path from the folder."""
    if not names_a_file(name, value) or not (path := input_path(_file(name, value))).exists():
        return value
    relative = Path(os.path.relpath(absolute_path(path), folder.resolve())).as_posix()
    return f"{relative}:{value.rpartition(':')[2]}" if name in CODE_NAMES else relative


def identity(folder: Path, name: str, value: Any) -> Any:
    """Return what counts of a value: the name of a file without its folder, and of code from outside the content too.

    Raises:
        InputError: the code is not there.
    """
    if not names_a_file(name, value):
        return value
    if name not in CODE_NAMES:
        return Path(value).name
    code = found_from(folder, name, value)
    return [outside_label(code), source_hash(code)]


def _file(name: str, value: str) -> str:
    return value.rpartition(":")[0] if name in CODE_NAMES else value
