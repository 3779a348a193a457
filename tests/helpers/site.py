"""Faults of a web site in a folder: links that lead nowhere, and anything that is loaded from another place."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADING = {"audio", "embed", "iframe", "image", "img", "input", "object", "script", "source", "track", "use", "video"}
_CSS_ADDRESS = re.compile(r"url\(\s*['\"]?([^'\")]+)['\"]?\s*\)|@import\s+['\"]([^'\"]+)['\"]")
_LINKS_TO_PAGES = {
    "author",
    "canonical",
    "index",
    "next",
    "prev",
    "search",
}  # what a <link> may name without loading it


class _Page(HTMLParser):
    """Links, loaded addresses and ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self._style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        self._style = tag == "style"
        self.loaded += _addresses(values.get("style", ""))
        found = [values[name] for name in ("href", "src", "data", "poster", "xlink:href") if name in values]
        found += [part.split()[0] for part in values.get("srcset", "").split(",") if part.strip()]
        if tag in _LOADING or (tag == "link" and values.get("rel") not in _LINKS_TO_PAGES):
            self.loaded += found
        elif tag in ("a", "area", "link"):
            self.links += found

    def handle_data(self, data: str) -> None:
        if self._style:
            self.loaded += _addresses(data)


def faults(site: Path) -> list[str]:
    """Return a line for every link that leads nowhere, and for everything that is loaded from outside the folder."""
    site, found = site.resolve(), list[str]()
    for path in sorted(path for path in site.rglob("*") if path.suffix in (".html", ".css", ".svg")):
        page = _read(path)
        for verb, addresses in (("loads", page.loaded), ("links to", page.links)):
            problems = {address: _problem(path, address, site, verb == "loads") for address in addresses}
            found += [
                f"{path.relative_to(site)} {verb} {address[:80]}: {problem}"
                for address, problem in problems.items()
                if problem
            ]
    _read.cache_clear()
    return found


@cache
def _read(path: Path) -> _Page:
    text = path.read_text(encoding="utf-8")
    return _Page(f"<style>{text}</style>" if path.suffix == ".css" else text)


def _addresses(style: str) -> list[str]:
    return [first or second for first, second in _CSS_ADDRESS.findall(style)]


def _problem(page: Path, address: str, site: Path, loading: bool) -> str:
    parts = urlsplit(address)
    if parts.scheme == "data" or (not loading and parts.scheme in ("http", "https", "mailto")):
        return ""
    if parts.scheme or parts.netloc:
        return "not in the folder of the site"
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not path.is_relative_to(site):
        return "not in the folder of the site"
    if not path.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    if "=" in anchor and path == site / "live" / "index.html":  # a state, which the page's script reads
        return ""
    if anchor and path.suffix in (".html", ".svg") and anchor not in _read(path).ids:
        return "no such id"
    return ""
