"""What pages of the book quote from files of the repository, so that nothing is written twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

__all__ = ["bibtex", "section"]


def section(page: Path, heading: str) -> str:
    """Return what stands in a Markdown page below a heading of the second level, up to the next one.

    Raises:
        KeyError: the page has no such heading.
    """
    sections = dict(part.split("\n", 1) for part in page.read_text(encoding="utf-8").split("\n## ")[1:])
    return sections[heading].strip()


def bibtex(path: Path) -> str:
    """Return a CITATION.cff as BibTeX: first its preferred citation, a paper at a conference, then the software.

    Raises:
        KeyError: it lacks a field that an entry needs.
    """
    kit = yaml.safe_load(path.read_text(encoding="utf-8"))
    paper = kit["preferred-citation"]
    place = {"booktitle": paper["collection-title"], "year": paper["year"]}
    return _entry("inproceedings", "dainet-paper", paper, place) + _entry(
        "software", "dainet-kit", kit, {"version": kit["version"], "license": kit["license"]}
    )


def _entry(kind: str, key: str, cited: Mapping[str, Any], rest: Mapping[str, Any]) -> str:
    # Inner braces keep capitals such as those of DAINet, and the name of a group in one piece.
    authors = [
        f"{author['family-names']}, {author['given-names']}" if "family-names" in author else f"{{{author['name']}}}"
        for author in cited["authors"]
    ]
    fields = {"title": f"{{{cited['title']}}}", "author": " and ".join(authors), **rest}
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}\n"
