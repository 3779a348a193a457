"""What a path means: the same in the environment, in settings, in notebooks and on the command line."""

from __future__ import annotations

import os
from pathlib import Path

from dainet.errors import InputError

__all__ = ["absolute_path", "input_path", "output_path", "repository_root"]


def repository_root() -> Path:
    """Return the folder with pyproject.toml and notebooks/ above the working directory, else the working directory."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "notebooks").is_dir():
            return folder
    return here


def absolute_path(path: Path) -> Path:
    """Return the absolute path of a file or folder to read.

    Links on the way are followed, but a file that is one keeps its name, because the ending says how to read it: in the
    cache of Hugging Face, weights are links to files without one.
    """
    real = path.resolve()
    return real if real.is_dir() else path.parent.resolve() / path.name


def input_path(name: str) -> Path:
    """Return the path of a file or folder to read, which may not exist.

    "~" is the user's home. A relative path is looked up in the working directory, and if nothing is there, in the
    repository: a notebook works in notebooks/, and its reader thinks of the repository.
    """
    path = Path(os.path.expanduser(name))  # not Path.expanduser, which raises for a home that does not exist
    beside = repository_root() / path
    return beside if not os.path.exists(path) and os.path.exists(beside) else path


def output_path(name: str) -> Path:
    """Return the absolute path of a folder to write to: "~" is the user's home, a relative path lies in the repository.

    Raises:
        InputError: it begins with the home of a user who is not known here.
    """
    path = os.path.expanduser(name)
    if path.startswith("~"):
        raise InputError(f"{name}: the home {path.split(os.sep)[0]} is not known; write the path without it")
    return repository_root() / path
