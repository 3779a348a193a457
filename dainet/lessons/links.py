"""A notebook in another folder: its pictures come with it, and its links lead to the same files as before."""

from __future__ import annotations

import mimetypes
import os
import re
from base64 import b64encode
from functools import partial
from html import escape
from pathlib import Path
from urllib.parse import quote

from nbformat import NotebookNode

__all__ = ["relocated"]

# The end of a Markdown link, or a picture up to there.
_TARGET = re.compile(r"(?P<picture>!\[[^]]*)?\]\((?P<path>[^()\s#]+)(?P<anchor>#[^()\s]*)?\)")


def relocated(notebook: NotebookNode, old: Path, new: Path) -> NotebookNode:
    """Change a notebook so that it can be moved from the folder `old` to the folder `new`.

    Pictures become attachments of their cells, or elements `img` if they are SVG. Links are written relative to `new`;
    what names no file stays.
    """
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _TARGET.sub(partial(_target, cell, old, new), cell.source)
    return notebook


def _target(cell: NotebookNode, old: Path, new: Path, found: re.Match[str]) -> str:
    file = (old / found["path"]).resolve()
    if not file.exists():
        return found[0]
    if found["picture"]:
        kind, content = mimetypes.guess_type(file.name)[0], b64encode(file.read_bytes()).decode()
        if kind == "image/svg+xml":  # JupyterLab shows no attachment of this kind
            return f'<img alt="{escape(found["picture"][2:])}" src="data:{kind};base64,{content}">'
        cell.setdefault("attachments", NotebookNode())[file.name] = {kind: content}
        return f"{found['picture']}](attachment:{file.name})"
    return f"]({quote(Path(os.path.relpath(file, new.resolve())).as_posix())}{found['anchor'] or ''})"
