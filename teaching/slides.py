"""Slides of a notebook: one for each cell tagged `slide`, with its outputs; code only where `slide-code` is a tag."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

import nbformat
from markupsafe import Markup
from nbformat import NotebookNode

from dainet.errors import InputError
from teaching.pages import markdown_html, picture_html

__all__ = ["read_slides"]

_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LOG = re.compile(r"^(\w+: computing|epoch \d+/\d+ .*)\n?", re.MULTILINE)  # of stages; no news to a class
_UNASKED = "You have not predicted; "  # a class predicts aloud
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)  # of pandas; the deck has its own


def read_slides(path: Path) -> list[Markup]:
    """Return the slides of a notebook in the order of its cells, as HTML; outputs are the stored ones.

    A cell without a heading of its own gets that of its section.

    Raises:
        InputError: a formula cannot be drawn, a picture is missing, or a cell shows nothing.
    """
    slides, section = [], ""
    for cell in nbformat.read(path, as_version=4).cells:
        headings = _headings(cell.source) if cell.cell_type == "markdown" else []
        if "slide" in cell.metadata.get("tags", []):
            own = headings and not cell.source[: headings[0].start()].strip()
            above = Markup() if own or not section else markdown_html(f"## {section}", path.parent)
            slides.append(above + _body(cell, path.parent))
        section = headings[-1][1] if headings else section
    return slides


def _headings(source: str) -> list[re.Match[str]]:
    """Find the headings of a Markdown text; comments in its code are none."""
    return list(_HEADING.finditer(_FENCE.sub(lambda fence: " " * len(fence[0]), source)))


def _body(cell: NotebookNode, folder: Path) -> Markup:
    if cell.cell_type == "markdown":
        return markdown_html(_first_section(cell.source), folder)
    shown = [_output(output) for output in cell.outputs]
    if "slide-code" in cell.metadata.tags:
        shown.insert(0, Markup('<pre class="code">{}</pre>').format(cell.source))
    if not any(shown):
        raise InputError(
            f"a cell with the tag slide shows nothing: {cell.source!r}; run the notebook, or add slide-code"
        )
    return Markup().join(shown)


def _first_section(source: str) -> str:
    """Return the text up to the next heading, such as a summary without the exercises in the same cell."""
    later = [start for heading in _headings(source) if source[: (start := heading.start())].strip()]
    return source[: later[0]] if later else source


def _output(output: NotebookNode) -> Markup:
    """Return the richest form of an output that a page can show: a picture, a table, or text."""
    if output.output_type == "stream":
        text = _LOG.sub("", output.text).replace(_UNASKED, "").rstrip()
        return Markup("<pre>{}</pre>").format(text) if text else Markup()
    data = output.data
    if "image/png" in data:
        alt = output.metadata.get("image/png", {}).get("alt", "")
        return Markup("<figure>{}</figure>").format(picture_html(b64decode(data["image/png"]), "image/png", alt))
    if "text/html" in data:
        return Markup(_STYLE.sub("", data["text/html"]))
    return Markup("<pre>{}</pre>").format(data["text/plain"])
