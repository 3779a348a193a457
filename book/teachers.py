"""The page for teachers: the README of teaching/, with links to the files that are built for a class."""

from __future__ import annotations

import re
from pathlib import Path

from book.sources import REPOSITORY

__all__ = ["teaching_page"]

_FILE = re.compile(r"`([\w/]+\.(?:html|pdf))`")
_DECKS = re.compile(r"slides of \d\d(?: and \d\d)*")


def teaching_page(built: Path) -> str:
    """Return the page in Markdown; a file that stands in `built` is a link, and so is the deck of a lesson."""
    decks = {path.name[:2]: f"slides/{path.name}" for path in built.glob("slides/*.html")}
    text = (REPOSITORY / "teaching/README.md").read_text(encoding="utf-8")
    text = _DECKS.sub(lambda where: re.sub(r"\d\d", lambda lesson: _link(lesson[0], decks[lesson[0]]), where[0]), text)
    return _FILE.sub(lambda code: _link(code[0], code[1]) if (built / code[1]).is_file() else code[0], text)


def _link(text: str, file: str) -> str:
    return f"[{text}](pages/{file})"
