"""Markdown pages of the repository and pages of HTML, their anchors and their links."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from tests.helpers import REPOSITORY

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_FOLDERS = (".", "docs", "benchmarks", "notebooks", "teaching", "figures", "figures/acdc-study", "dainet/vit/weights")


def pages() -> list[Path]:
    """Every page that people read."""
    return sorted(path for folder in _FOLDERS for path in (REPOSITORY / folder).glob("*.md"))


def anchors(page: Path) -> set[str]:
    """What a link may name behind `#`: headings as GitHub spells them, and the ids that stand in the page."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found = set(re.findall(r'<a id="([^"]+)"', text))
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        plain = re.sub(r"<[^>]+>|[`*]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def links(page: Path) -> list[str]:
    """Targets of the links and pictures of a page, those to other sites left out."""
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


class Page(HTMLParser):
    """Tags with their attributes, and the texts of headings and list items, in the order of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self._open, data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def read(self, *tags: str) -> list[str]:
        return [text for tag, text in self.texts if tag in tags]

    def targets(self) -> list[str]:
        """What links and pictures lead to, other sites and pictures within the page left out."""
        found = [str(values.get("href") or values.get("src") or "") for _, values in self.tags]
        return [target for target in found if target and not re.match(r"[a-z]+:", target)]

    def ids(self) -> set[str]:
        return {str(values["id"]) for _, values in self.tags if "id" in values}
