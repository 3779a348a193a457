"""Pages that show the files and folders of the repository to which the book's pages link."""

from __future__ import annotations

import ast
import posixpath
import shutil
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import HtmlDjangoLexer, TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from book.sources import REPOSITORY

__all__ = ["address_of", "copy_data", "pages_of", "shown"]

_DATA = (".csv", ".json", ".npz", ".pdf", ".png", ".safetensors", ".svg", ".tex")  # copied, not shown as text
_LARGEST = 300_000  # bytes of data that is copied because its folder is shown
_HIDDEN = ("__pycache__", "_build")


def address_of(path: PurePosixPath) -> str:
    """Return the place in the site of what shows a file or folder: a page, or a copy where it is data."""
    return f"source/{path}" if path.suffix in _DATA else f"source/{path}.html"


def shown(linked: Iterable[str]) -> set[PurePosixPath]:
    """Return the files and folders that pages link to, and what those folders contain, without large data."""
    found, waiting = set[PurePosixPath](), [PurePosixPath(path) for path in linked]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += filter(_can_be_shown, _children(path))
    return found


def copy_data(paths: Iterable[PurePosixPath], site: Path) -> None:
    """Copy what is data to its place in the site."""
    for path in paths:
        if path.suffix in _DATA:
            copy = site / address_of(path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / path, copy)


def pages_of(paths: set[PurePosixPath], documents: Iterable[str]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Return name, context and template of each page, as Sphinx asks for them.

    A folder's page leads to a `documents` page where a file is one, such as its README.
    """
    documents = set(documents)
    for path in sorted(paths):
        if path.suffix not in _DATA:
            file = REPOSITORY / path
            body = _listing(path, paths, documents) if file.is_dir() else _text(path)
            body = f"{_way_up(path, paths)}<h1>{escape(path.name)}</h1>{body}"
            yield address_of(path).removesuffix(".html"), {"title": str(path), "body": body}, "page.html"


def _children(path: PurePosixPath) -> list[PurePosixPath]:
    folder = REPOSITORY / path
    names = sorted(child.name for child in folder.iterdir()) if folder.is_dir() else []
    return [path / name for name in names if name not in _HIDDEN and not name.startswith(".")]


def _can_be_shown(path: PurePosixPath) -> bool:
    """Say whether a page can show a file or folder: data if it is small, and else only text."""
    file = REPOSITORY / path
    if path.suffix in _DATA or file.is_dir():
        return file.is_dir() or file.stat().st_size <= _LARGEST
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _way_up(path: PurePosixPath, paths: set[PurePosixPath]) -> str:
    """Return a line with links to the book and to the folders of a file, as far as they have pages."""
    folders = [
        _link(path, address_of(folder), folder.name) if folder in paths else escape(folder.name)
        for folder in reversed(path.parents[:-1])
    ]
    return f"<p>{' / '.join([_link(path, 'index.html', 'The book'), *folders])} /</p>"


def _link(page: PurePosixPath, address: str, text: str) -> str:
    relative = posixpath.relpath(address, posixpath.dirname(address_of(page)))
    return f'<a class="reference internal" href="{escape(relative)}">{escape(text)}</a>'


def _text(path: PurePosixPath) -> str:
    """Return highlighted text; line 12 has the anchor L-12."""
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    return str(highlight(text, _lexer(path), HtmlFormatter(lineanchors="L")))


def _lexer(path: PurePosixPath) -> Lexer:
    if path.suffix == ".html":
        return HtmlDjangoLexer()  # the repository's pages of HTML are templates
    try:
        return get_lexer_for_filename(path.name)
    except ClassNotFound:
        return TextLexer()


def _listing(path: PurePosixPath, paths: set[PurePosixPath], documents: set[str]) -> str:
    """Return a table of a folder: names, and the first sentence of each module."""
    rows = ""
    for child in _children(path):
        name = child.name + ("/" if (REPOSITORY / child).is_dir() else "")
        document = str(child.with_suffix(""))
        address = f"{document}.html" if document in documents else address_of(child) if child in paths else ""
        shown_name = _link(path, address, name) if address else escape(name)
        rows += f"<tr><td><code>{shown_name}</code></td><td>{escape(_purpose(child))}</td></tr>\n"
    return f'<table class="table">\n{rows}</table>'


def _purpose(path: PurePosixPath) -> str:
    file = REPOSITORY / path / "__init__.py" if (REPOSITORY / path).is_dir() else REPOSITORY / path
    if file.suffix != ".py" or not file.is_file():
        return ""
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
