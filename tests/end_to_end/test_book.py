"""Every page of the built book in headless Chromium: on a phone, in the dark, from the disk and without network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from tests.helpers.browser import NEEDS_CHROMIUM, PATIENCE, PHONE

pytestmark = NEEDS_CHROMIUM
# The theme's own, hundreds of pages of code, and pages with tests of their own.
ELSEWHERE = re.compile(r"_static/|source/|live/|stories/|teaching/pages/")
LIGHTNESS = (
    "getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => +a + +b) / 765"
)


@pytest.fixture
def watched(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """Open an empty page, and collect errors, warnings of the console, and requests that leave the disk."""
    found: list[str] = []
    page = browser.new_page(viewport=PHONE)
    page.set_default_timeout(PATIENCE)

    def hear(line: ConsoleMessage) -> None:
        if line.type in ("error", "warning"):
            found.append(f"{page.url}: {line.text}")

    def see(request: Request) -> None:
        if request.url.startswith("http"):
            found.append(f"{page.url} asks for {request.url}")

    page.on("console", hear)
    page.on("request", see)
    page.on("pageerror", lambda error: found.append(f"{page.url}: {error}"))
    yield page, found
    page.close()


def test_no_page_scrolls_sideways_on_a_phone_complains_or_asks_the_network(
    watched: tuple[Page, list[str]], book_site: Path
) -> None:
    page, found = watched
    pages = [
        path
        for path in sorted(book_site.rglob("*.html"))
        if not ELSEWHERE.match(path.relative_to(book_site).as_posix())
    ]
    assert len(pages) > 40
    for path in pages:
        page.goto(path.as_uri())
        width, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if width > screen:
            found.append(f"{path.relative_to(book_site)} is {width} px wide")
    assert not found


def test_a_click_makes_pages_dark_and_the_next_one_stays_so(watched: tuple[Page, list[str]], book_site: Path) -> None:
    page, found = watched
    page.goto((book_site / "index.html").as_uri())
    assert page.evaluate(LIGHTNESS) > 0.9
    expect(page.locator("html")).to_have_class(re.compile("fontawesome-i2svg-complete"))  # icons move what is clicked
    page.get_by_role("button", name="Color mode").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(LIGHTNESS) < 0.2
    page.goto((book_site / "docs" / "glossary.html").as_uri())
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(LIGHTNESS) < 0.2
    assert not found


def test_the_search_works_from_the_disk(watched: tuple[Page, list[str]], book_site: Path) -> None:
    page, found = watched
    page.goto((book_site / "search.html").as_uri() + "?q=attention")  # the name of functions, and the word of lessons
    expect(page.locator("#search-results li a").first).to_have_attribute("href", re.compile("^notebooks/"))
    page.goto((book_site / "search.html").as_uri() + "?q=softmax")
    result = page.locator("#search-results a[href='notebooks/03_attention_maps.html']")
    expect(result).to_contain_text("Attention maps")
    result.click()
    expect(page.locator("main h1").last).to_contain_text("Attention maps")
    assert not found
