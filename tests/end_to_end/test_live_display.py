"""How the live page looks to everyone, and what it says where something is missing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.helpers.browser import CONTRAST, NEEDS_CHROMIUM, PATIENCE, PHONE
from tests.helpers.live import live_slices
from tests.helpers.live_page import go, open_page, shown

pytestmark = NEEDS_CHROMIUM

BLANK = "canvas => !canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
NEVER = "() => { Live.data.load = () => new Promise(() => {}); }"  # what is not here yet does not arrive
TEXTS = [
    *("h1", "p:not(.missing)", "th", "td", "td span", "label", "figcaption", "small", "svg > text"),
    "button:not(.switch)",  # whose ground is drawn by a pseudo-element
]


def test_networks_that_are_still_loaded_leave_no_pictures_of_another_organ(browser: Browser, live_folder: Path) -> None:
    page, said = open_page(browser, live_folder)
    shown(page, "heart")
    go(page, "organ=heart&case=1&heads=011111&skips=1111&mode=cut")  # a thing to try, so there is an answer
    expect(page.locator("#tries .answer:visible")).to_have_count(1)
    page.evaluate(NEVER)
    page.get_by_label("Abdomen").click()
    page.wait_for_selector("#said:has-text('Abdomen')")
    expect(page.locator("#tries .answer:visible")).to_have_count(0)
    links = page.locator("#tries a").evaluate_all("all => all.map(link => link.hash)")
    assert all("organ=abdomen" in link for link in links)
    assert all(
        canvas.evaluate(BLANK) for canvas in page.locator(".predictions canvas, .errors canvas, .map canvas").all()
    )
    assert said == []
    page.close()


def test_while_a_network_is_loaded_no_answer_of_another_is_shown_and_the_page_can_be_used(
    browser: Browser, live_folder: Path
) -> None:
    page, said = open_page(browser, live_folder)
    go(page, "skips=0111")
    page.evaluate(NEVER)
    page.get_by_label("Trained with").check()
    page.wait_for_selector("#said:has-text('loading')")
    assert [page.locator(f"#{name}").evaluate(BLANK) for name in ("dual", "dualErrors", "change", "unet")] == [
        *([True] * 3),
        False,
    ]
    for name in ("dualDsc", "dsc"):
        expect(page.locator(f"#{name}")).to_be_empty()
    page.get_by_role("button", name="Everything on").click()  # dual-1111 is here
    shown(page, "skips=1111&mode=trained")
    expect(page.locator("#dualDsc")).not_to_be_empty()
    assert said == []
    page.close()


def test_a_network_that_could_not_be_loaded_is_asked_for_again(
    browser: Browser, live_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(live_folder, tmp_path / "live")
    file = tmp_path / "live" / "data" / "abdomen-vit.js"
    hidden = file.rename(tmp_path / file.name)
    page, _ = open_page(browser, tmp_path / "live")
    shown(page, "heart")
    page.get_by_label("Abdomen").check()
    expect(page.get_by_role("alert")).to_contain_text(file.name, timeout=PATIENCE)
    hidden.rename(file)
    page.get_by_role("button", name="Everything on").click()
    shown(page, "abdomen")
    expect(page.get_by_role("alert")).to_be_hidden()
    page.close()


def test_paper_is_light_and_keeps_the_colors_of_legends_and_switches(live: Page) -> None:
    live.emulate_media(color_scheme="dark", media="print")
    go(live, "")
    text = live.locator("body").evaluate("body => getComputedStyle(body).color")
    assert max(map(int, re.findall(r"\d+", text))) < 100
    exact = "element => getComputedStyle(element, pseudo).printColorAdjust"
    for name, pseudo in ((".chip", ""), (".switch", "::before"), (".map", "::after")):
        found = live.locator(name).first.evaluate(exact.replace("pseudo", f"'{pseudo}'"))
        assert found == "exact", name
    live.emulate_media(color_scheme="light", media="screen")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_themes_and_the_books_choice_wins(
    live: Page, scheme: Literal["light", "dark"]
) -> None:
    live.emulate_media(color_scheme=scheme)
    go(live, "heads=011111")
    assert live.evaluate("document.documentElement.dataset.theme") == scheme
    for what in TEXTS:
        for ratio in live.evaluate(CONTRAST, what):
            assert ratio > 4.5, f"{what}: contrast {ratio:.1f}; WCAG asks for 4.5"
    other = "light" if scheme == "dark" else "dark"
    live.evaluate("mode => localStorage.setItem('mode', mode)", other)
    live.reload()
    shown(live, "heads=011111")
    assert live.evaluate("document.documentElement.dataset.theme") == other
    live.evaluate("localStorage.clear()")


@pytest.mark.parametrize("organ", live_slices())
def test_a_phone_shows_one_column_with_large_buttons(live: Page, organ: str) -> None:
    live.set_viewport_size(PHONE)
    go(live, f"organ={organ}&case=1&heads=011111")
    assert live.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for button in live.locator("button:visible, label.button, fieldset label").all():
        assert (box := button.bounding_box())
        assert min(box["width"], box["height"]) > 43.5, button.inner_text()


def test_predictions_stay_in_sight_only_where_there_is_room_for_more(live: Page) -> None:
    position = "node => getComputedStyle(node).position"
    live.set_viewport_size(PHONE)
    assert live.locator(".predictions").evaluate(position) == "sticky"
    live.set_viewport_size({"width": PHONE["height"], "height": PHONE["width"]})
    assert live.locator(".predictions").evaluate(position) != "sticky"


def test_the_drawing_says_in_words_what_is_on(live: Page) -> None:
    go(live, "organ=heart&case=1&heads=111110&skips=0110&mode=cut")
    words = live.locator("#drawing svg").get_attribute("aria-label")
    assert words is not None
    assert "5 of 6 maps" in words
    assert re.findall(r"\((\d)\)", words) == ["2", "3"]


def test_every_control_has_a_name_and_every_picture_a_description(live: Page) -> None:
    names = live.locator("button").evaluate_all("all => all.map(b => b.getAttribute('aria-label') || b.innerText)")
    assert all(names)
    assert len(set(names)) == len(names)
    assert all(live.locator("figure canvas").evaluate_all("all => all.map(c => c.getAttribute('aria-label'))"))


@pytest.mark.parametrize(
    ("before", "missing"),
    [
        ("delete window.WebAssembly", "WebAssembly"),
        ("delete window.DecompressionStream", "DecompressionStream"),
        ("WebAssembly.validate = () => false", "SIMD"),
    ],
)
def test_a_browser_that_is_too_old_is_told_so(browser: Browser, live_folder: Path, before: str, missing: str) -> None:
    page, said = open_page(browser, live_folder, before)
    expect(page.get_by_role("alert")).to_contain_text(missing)
    expect(page.locator("main")).to_be_hidden()
    page.close()
    assert said == []


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("heart-dual-1111", lambda text: None),
        ("wasm", lambda text: text[: len(text) // 2]),
        ("slices", lambda text: text.replace("H4sI", "!!!!", 1)),
        ("heart-vit", lambda text: f'{text[: len(text) // 8 * 4]}");'),
    ],
    ids=["missing", "half a script", "no base64", "half a gzip"],
)
def test_a_data_file_that_is_missing_or_damaged_is_named(
    browser: Browser, live_folder: Path, tmp_path: Path, name: str, spoil: Callable[[str], str | None]
) -> None:
    shutil.copytree(live_folder, tmp_path / "live")
    file = tmp_path / "live" / "data" / f"{name}.js"
    spoiled = spoil(file.read_text(encoding="ascii"))
    file.unlink()
    if spoiled:
        file.write_text(spoiled, encoding="ascii")
    page, _ = open_page(browser, tmp_path / "live")
    expect(page.get_by_role("alert")).to_contain_text(file.name, timeout=PATIENCE)
    expect(page.locator("#said")).to_be_empty()
    page.close()


def test_a_runtime_that_does_not_start_is_said(browser: Browser, live_folder: Path) -> None:
    page, _ = open_page(browser, live_folder, before="URL.createObjectURL = () => 'blob:nothing'")
    expect(page.get_by_role("alert")).to_contain_text("ONNX Runtime")
    page.close()
