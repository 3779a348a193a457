"""How the live page looks to everyone, and what it says where something is missing."""

from __future__ import annotations

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

TEXTS = [
    *("h1", "p:not(.missing)", "th", "td", "td span", "label", "figcaption", "small", "svg > text"),
    "button:not(.switch)",  # whose ground is drawn by a pseudo-element
]


def test_networks_that_are_still_loaded_leave_no_pictures_of_another_organ(browser: Browser, live_folder: Path) -> None:
    page, said = open_page(browser, live_folder)
    shown(page, "heart")
    page.evaluate("() => { Live.data.load = () => new Promise(() => {}); }")  # the networks never arrive
    page.get_by_label("Abdomen").click()
    page.wait_for_selector("#said:has-text('Abdomen')")
    blank = "canvas => !canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    assert all(
        canvas.evaluate(blank) for canvas in page.locator(".predictions canvas, .errors canvas, .map canvas").all()
    )
    assert said == []
    page.close()


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
