"""The pages of the stories in headless Chromium, from the disk, and their pictures without motion."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from book.stories.build import build_stories, stories
from book.stories.seeds import simulated_gains
from tests.helpers import REPOSITORY
from tests.helpers.browser import NEEDS_CHROMIUM, PHONE

pytestmark = NEEDS_CHROMIUM
AHEAD = "[...document.querySelectorAll('.step')].map(step => step.classList.contains('ahead'))"
OPACITY = "[...document.querySelectorAll('.step')].map(step => getComputedStyle(step).opacity)"


def test_steps_by_buttons_and_keys_on_a_phone(page: Page, tmp_path: Path) -> None:
    build_stories(tmp_path)
    page.set_viewport_size(PHONE)
    page.emulate_media(reduced_motion="reduce")
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    for story in stories():
        page.goto((tmp_path / "stories" / f"{story.name}.html").as_uri())
        for number, step in enumerate(story.steps):
            expect(page.locator("#words")).to_have_text(step.words)
            assert page.evaluate(AHEAD) == [other > number for other in range(len(story.steps))]
            if number % 2:
                page.get_by_role("button", name="Next").click(force=number == len(story.steps) - 1)
            else:
                page.keyboard.press("ArrowRight")
        expect(page.get_by_role("button", name="Next")).to_be_disabled()
        assert page.evaluate(OPACITY) == ["1"] * len(story.steps)
        page.keyboard.press("Home")
        expect(page.locator("#words")).to_have_text(story.steps[0].words)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert all(url.startswith(("file:", "data:")) for url in asked)


def test_another_five_seeds_are_those_of_python(page: Page, tmp_path: Path) -> None:
    build_stories(tmp_path)
    page.goto((tmp_path / "stories" / "seeds.html").as_uri())
    page.get_by_role("button", name="Another five seeds").click()
    expect(page.locator("#counts")).to_contain_text("10 tables")
    means = [sum(gains) / len(gains) for gains in islice(simulated_gains(), 510)]
    assert page.evaluate("means") == pytest.approx(means[:10], abs=1e-9)
    page.get_by_role("button", name="A hundred times").click()
    apart, missed = sum(abs(mean) >= 0.33 for mean in means), sum(abs(mean + 0.33) < 0.6819 for mean in means)
    for said in ("510 tables", f"{apart} (", f"{missed} ("):
        expect(page.locator("#counts")).to_contain_text(said)
    assert page.locator("#dots circle").count() == 2 * 510


def test_pictures_are_complete_without_motion_and_in_print(page: Page) -> None:
    for path in sorted((REPOSITORY / "figures" / "stories").glob("*.svg")):
        page.emulate_media(media="screen", reduced_motion="no-preference")
        page.goto(path.as_uri())
        assert page.evaluate("document.getAnimations().length") > 0
        page.emulate_media(reduced_motion="reduce")
        assert set(page.evaluate(OPACITY)) == {"1"}
        page.emulate_media(media="print", reduced_motion="no-preference")
        assert set(page.evaluate(OPACITY)) == {"1"}


def test_a_story_is_printed_in_dark_ink_from_a_dark_screen_too(page: Page, tmp_path: Path) -> None:
    build_stories(tmp_path)
    page.emulate_media(color_scheme="dark")
    page.goto((tmp_path / "stories" / "seeds.html").as_uri())
    ink = "() => getComputedStyle(document.querySelector('#dots text')).fill.match(/\\d+/g).map(Number)"
    assert min(page.evaluate(ink)) > 200
    page.emulate_media(color_scheme="dark", media="print")
    assert max(page.evaluate(ink)) < 100


@pytest.mark.parametrize(("mode", "theme", "dark"), [("auto", "dark", False), ("dark", "dark", True)])
def test_a_story_alone_follows_the_books_choice_and_else_the_system_of_today(
    page: Page, tmp_path: Path, mode: str, theme: str, dark: bool
) -> None:
    build_stories(tmp_path)
    page.emulate_media(color_scheme="light")  # but the book's last visit was in the dark
    page.add_init_script(f"localStorage.setItem('mode', '{mode}'); localStorage.setItem('theme', '{theme}');")
    page.goto((tmp_path / "stories" / "cut_skip.html").as_uri())
    assert page.evaluate("document.documentElement.classList.contains('dark')") == dark


def test_the_book_shows_stories_whole_and_in_its_own_color(page: Page, book_site: Path) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto((book_site / "stories.html").as_uri())
    for story in stories():
        frame = page.frame(url=f"**/stories/{story.name}.html")
        frame.wait_for_function(
            "document.documentElement.scrollHeight <= innerHeight && innerHeight !== 704", polling=50
        )
        assert "dark" in frame.evaluate("document.documentElement.className")
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    for story in stories():
        frame = page.frame(url=f"**/stories/{story.name}.html")
        frame.wait_for_function("!document.documentElement.classList.contains('dark')", polling=50)
