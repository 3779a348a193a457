"""Docstrings of the package made ready for Sphinx: results keep their words, pages of the documentation are links."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from book.constants import field_comments

__all__ = ["prepare", "setup"]

_RESULT = re.compile(r"(Returns|Yields):\n( +)", re.MULTILINE)
_PAGE = re.compile(r"(?<![\w/`])docs/(\w+)\.md(#[\w.-]+)?")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the change of docstrings; a Sphinx extension."""
    app.connect("autodoc-process-docstring", _prepare_lines, priority=400)  # napoleon comes at 500
    return {"parallel_read_safe": True}


def prepare(docstring: str) -> str:
    """Return a docstring whose results napoleon shows as one text, and whose pages in docs/ are links.

    Napoleon takes what stands before the first colon of a result as its type; the signature gives that here.
    """
    text = _RESULT.sub(r"\1:\n\2: ", docstring)
    return _PAGE.sub(lambda page: f"`{page[0]} <../docs/{page[1]}.html{page[2] or ''}>`__", text)


def _prepare_lines(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    fields = _fields(name) if what == "class" else []
    lines[:] = prepare("\n".join([*lines, *fields])).split("\n")


def _fields(name: str) -> list[str]:
    """Return the comments on the fields of a class such as "dainet.settings.groups.VitSettings" as a list in RST."""
    module, _, owner = name.rpartition(".")
    file = getattr(sys.modules.get(module), "__file__", None)  # None: a class inside another
    said = field_comments(Path(file)).get(owner, {}) if file else {}
    return ["", *(f":param {field}: {comment}" for field, comment in said.items()), ""]
