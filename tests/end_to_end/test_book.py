"""Every page of the built book in headless Chromium: on a phone, in the dark, from the disk and without network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.helpers.browser import NEEDS_CHROMIUM, PATIENCE, PHONE, SIZE

pytestmark = NEEDS_CHROMIUM
LUMINANCE = """element => {
    const [red, green, blue] = getComputedStyle(element).backgroundColor.match(/[\\d.]+/g).map(Number);
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
}"""
# Nearest ancestors hide or scroll what is wider; what is left makes the page itself scroll sideways.
WIDTHS = "[document.documentElement.scrollWidth, innerWidth]"


@pytest.fixture
def watched(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """Open an empty page, and collect errors, warnings of the console, and requests that leave the disk."""
    page, found = browser.new_page(viewport=PHONE), []  # type: tuple[Page, list[str]]
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: found.append(f"{page.url}: {error}"))
    page.on("console", lambda line: found.append(f"{page.url}: {line.text}") if line.type in ("error", "warning") else 0)
    page.on("request", lambda asked: found.append(asked.url) if asked.url.startswith("http") else None)
    yield page, found
    page.close()


def test_no_page_scrolls_sideways_on_a_phone_complains_or_asks_the_network(
    watched: tuple[Page, list[str]], book_site: Path
) -> None:
    page, found = watched
    pages = sorted(path for path in book_site.rglob("*.html") if "_static" not in path.parts)
    assert len(pages) > 40
    for path in pages:
        page.goto(path.as_uri())
        width, screen = page.evaluate(WIDTHS)
        if width > screen:
            found.append(f"{path.relative_to(book_site)} is {width} px wide")
    assert not found
