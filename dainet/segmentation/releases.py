"""The release of an installed package that a file belongs to: its name and version stand for its content."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path

__all__ = ["release"]


def release(root: Path, file: Path) -> str:
    """Return name and version of the distribution that brought a file into a folder of installed packages.

    It is empty where they do not fix the content: no distribution lists the file, or one was installed from a folder,
    an archive or a repository (PEP 610), as editable ones are. The local part of a version ("+cpu") tells builds of one
    code apart, and a plan made on one machine is to run on another, so it is left out.
    """
    owner = _owner(root, f"{file.relative_to(root).as_posix()},")
    found = next(iter(distributions(name=owner, path=[str(root)])), None) if owner else None
    if found is None or found.read_text("direct_url.json"):
        return ""
    return f"{found.name} {found.version.partition('+')[0]}"


@lru_cache(maxsize=64)
def _owner(root: Path, beginning: str) -> str:
    """Return the name of the distribution with a line of this beginning in its list of files, or nothing."""
    for each in distributions(path=[str(root)]):  # a second for some hundred of them
        if f"\n{beginning}" in f"\n{each.read_text('RECORD') or ''}":
            return each.name
    return ""
