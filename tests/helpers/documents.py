"""Markdown pages of the repository, their anchors and their links."""

from __future__ import annotations

import re
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
