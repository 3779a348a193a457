"""Links of the repository's pages, as an extension of Sphinx: what works on a forge works in the book.

A link to a file or folder that is no page leads to `source/<path>.html` (see `source_pages`), a link to a page that
`python -m book` makes without Sphinx stays as it is, an address of the live page that stands as code is a link,
and an `<a id="...">` is an anchor that other pages may name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

from book.source_pages import address_of, copy_data, pages_of, shown
from book.sources import REPOSITORY

__all__ = ["setup"]

_MADE_ELSEWHERE = ("live", "stories", "teaching/pages")  # folders of the site that Sphinx does not build
_LIVE_PAGE = "live/index.html"
_ANCHOR = re.compile(r'<a id="([^"]+)">')


class _Anchors(SphinxTransform):
    """Give the id of an `<a id="..."></a>` to the section in whose title it stands, or to an element in its place."""

    default_priority = 870  # before MyST resolves the links within a page

    def apply(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(nodes.raw)):
            if found := _ANCHOR.fullmatch(node.astext().strip()):
                self._replace(node, found[1])

    def _replace(self, node: nodes.raw, name: str) -> None:
        holder: nodes.Element = nodes.inline()
        if isinstance(node.parent, nodes.title):
            holder = node.parent.parent
            node.parent.remove(node)
        else:
            node.replace_self(holder)
        if name not in holder["ids"]:
            holder["ids"].append(name)
        self.env.metadata[self.env.docname].setdefault("myst_slugs", {})[name] = (None, name, "")


class _Files(SphinxTransform):
    """Lead links to files and folders of the repository to the pages that show them, and note these files."""

    default_priority = 880

    def apply(self, **kwargs: Any) -> None:
        for kind in (addnodes.pending_xref, addnodes.download_reference):
            for node in list(self.document.findall(kind)):
                if node.get("reftype") == "myst" and node.get("refdomain") != "doc":
                    self._replace(node)

    def _replace(self, node: nodes.Element) -> None:
        path, _, anchor = node["reftarget"].partition("#")
        name = posixpath.normpath(posixpath.join(posixpath.dirname(self.env.docname), path))
        if name.startswith(_MADE_ELSEWHERE):
            address = name
        elif path and (REPOSITORY / name).exists():
            _linked_files(self.env).setdefault(self.env.docname, set()).add(name)
            address = address_of(PurePosixPath(name))
        else:
            return  # MyST resolves it, or warns
        reference = _reference(self.env, address + (f"#{anchor}" if anchor else ""))
        reference += node.children
        node.replace_self(reference)


class _LiveStates(SphinxTransform):
    """Make links of addresses of the live page, which stand as code because a forge has no such page."""

    default_priority = 880

    def apply(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(nodes.literal)):
            if node.astext().startswith(_LIVE_PAGE) and not isinstance(node.parent, nodes.reference):
                reference = _reference(self.env, node.astext())
                node.replace_self(reference)
                reference += node


def _reference(env: BuildEnvironment, address: str) -> nodes.reference:
    """Return a link without text from the page that is read to a place in the site."""
    path, sign, anchor = address.partition("#")
    relative = posixpath.relpath(path, posixpath.dirname(env.docname) or ".")
    return nodes.reference("", "", internal=True, refuri=f"{relative}{sign}{anchor}")


def _linked_files(env: BuildEnvironment) -> dict[str, set[str]]:
    """Return page -> files and folders of the repository that it links to; stored with what Sphinx has read."""
    return vars(env).setdefault("dainet_linked_files", {})


def _purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _linked_files(env).pop(docname, None)


def _merge(app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
    _linked_files(env).update({name: files for name, files in _linked_files(other).items() if name in docnames})


def _show(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Return the pages of all files that are linked, and copy those that are data."""
    paths = shown(chain.from_iterable(_linked_files(app.env).values()))
    copy_data(paths, Path(app.outdir))
    yield from pages_of(paths, app.env.found_docs)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the transforms; pages may be read by several processes."""
    app.add_transform(_Anchors)
    app.add_transform(_Files)
    app.add_transform(_LiveStates)
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    app.connect("html-collect-pages", _show)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
