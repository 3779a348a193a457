"""The pages in headless Chromium: slides fit 1280 x 720, the handout is two pages, nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.helpers.browser import CHROMIUM, FLAGS, NEEDS_CHROMIUM

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 1280, "height": 720})
        browser.close()


def test_every_slide_fits_and_can_be_read_from_the_last_row(built: Path, page: Page) -> None:
    for deck in sorted((built / "slides").glob("*.html")):
        page.goto(deck.as_uri())
        for slide in page.locator("section").all():
            too_much = slide.evaluate(
                "s => [...s.querySelectorAll('.content, .content *')].filter(e => e.getClientRects().length).map(e => "
                "[e.getBoundingClientRect(), s.getBoundingClientRect()]).filter(([e, s]) => e.bottom > s.bottom + 1 || "
                "e.top < s.top - 1 || e.right > s.right + 1 || e.left < s.left - 1).length"
            )
            assert too_much == 0, (deck.name, slide.inner_text()[:60])
            size = slide.evaluate("s => parseFloat(getComputedStyle(s).fontSize)")
            assert size >= 18, (deck.name, slide.inner_text()[:60])


def test_keys_lead_from_slide_to_slide(built: Path, page: Page) -> None:
    page.goto(sorted((built / "slides").glob("*.html"))[0].as_uri())
    last = page.locator("section").count() - 1
    for key, expected in (("ArrowRight", 1), ("Space", 2), ("PageUp", 1), ("Home", 0), ("ArrowLeft", 0), ("End", last)):
        page.keyboard.press(key)
        page.wait_for_function("n => Math.round(scrollY / innerHeight) === n", arg=expected)


def test_the_pages_ask_for_nothing_but_themselves(built: Path, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pages = sorted(built.rglob("*.html"))
    for path in pages:
        page.goto(path.as_uri(), wait_until="load")
        loaded = page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert loaded, path.name
    outside = [url for url in asked if not url.startswith("data:")]
    assert outside == [path.as_uri() for path in pages]


def test_the_handout_prints_on_two_pages(built: Path) -> None:
    printed = (built / "handout.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2


def test_a_deck_prints_one_slide_on_a_page(built: Path, page: Page) -> None:
    page.goto(sorted((built / "slides").glob("*.html"))[0].as_uri())
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == page.locator("section").count()


def test_a_deck_prints_as_it_is_shown_in_a_window_of_another_shape(built: Path, page: Page) -> None:
    page.set_viewport_size({"width": 1200, "height": 900})
    for deck in sorted((built / "slides").glob("*.html")):
        page.emulate_media(media="screen")
        page.goto(deck.as_uri())
        page.emulate_media(media="print")
        too_high = page.locator(".content").evaluate_all("all => all.map(c => c.scrollHeight - c.clientHeight)")
        assert too_high
        assert max(too_high) <= 1, deck.name
