"""A picture of one's own on the live page: dropped, pasted, chosen, kept, refused."""

from __future__ import annotations

from base64 import b64decode

import numpy as np
from playwright.sync_api import Page, expect

from dainet.data.preprocessing import normalize, resize_slices
from tests.helpers.browser import NEEDS_CHROMIUM, PATIENCE, PHONE, SIZE
from tests.helpers.live_page import DROP, PASTE, png, shown

pytestmark = NEEDS_CHROMIUM

# Note on the page how many pictures have been read.
COUNT_READ = """
() => {
  const read = Live.ownImage.read;
  let count = 0;
  Live.ownImage.read = (file) => read(file).finally(() => (document.body.dataset.read = ++count));
}
"""
# Shortest times of three, in milliseconds: of a turn, and of the slowest way to visit as many pixels.


def test_a_dropped_picture_is_prepared_as_the_kit_prepares_slices(live: Page) -> None:
    picture = np.random.default_rng(0).integers(20, 200, (75, 49), np.uint8)  # at 50, zoom rounds a pixel out of it
    live.evaluate(DROP, png(picture))
    shown(live, "case=own")
    for button, moved in (("", picture), ("Turn", np.rot90(picture, -1)), ("Flip", np.rot90(picture, -1)[:, ::-1])):
        if button:
            live.get_by_role("button", name=button).click()
        expected = normalize(moved[None], "minmax")
        for name, side in (("image", 64), ("vitImage", 96)):
            found = np.array(live.evaluate(f"Array.from(Live.ownImage.slice.{name})")).reshape(side, side)
            assert np.abs(found - resize_slices(expected, (side, side), 3)[0]).max() < 1e-5
    live.get_by_role("button", name="Crop").click()
    expected = normalize(np.rot90(picture, -1)[:, ::-1][None, :, 13:62], "minmax")
    found = np.array(live.evaluate("Array.from(Live.ownImage.slice.image)")).reshape(64, 64)
    assert np.abs(found - resize_slices(expected, (64, 64), 3)[0]).max() < 1e-5
    expect(live.locator("#dsc")).to_be_hidden()
    expect(live.locator("#said")).to_contain_text("0 of 4096")
    live.reload()
    shown(live, "case=own")
    assert live.evaluate("Array.from(Live.ownImage.slice.image)") == found.flatten().tolist()
    live.get_by_role("button", name="Remove").click()
    shown(live, "case=1")
    assert live.locator("#thumbs button").count() == 6
    live.evaluate("location.hash = 'case=own'")
    live.reload()
    shown(live, "case=1")


def test_turning_goes_to_the_right_after_flipping_too(live: Page) -> None:
    picture = np.random.default_rng(0).integers(20, 200, (64, 64), np.uint8)
    live.evaluate(DROP, png(picture))
    shown(live, "case=own")
    for button in ("Flip", "Turn"):
        live.get_by_role("button", name=button).click()
    found = np.array(live.evaluate("Array.from(Live.ownImage.slice.image)")).reshape(64, 64)
    assert np.abs(found - normalize(np.rot90(picture[:, ::-1], -1)[None], "minmax")[0]).max() < 1e-5
    live.get_by_role("button", name="Remove").click()
    shown(live, "case=1")


def test_of_two_pictures_the_later_stays_even_if_the_first_takes_longer_to_read(live: Page) -> None:
    random = np.random.default_rng(0)
    large, small = (random.integers(20, 200, (side, side), np.uint8) for side in (2000, 64))
    live.evaluate(COUNT_READ)
    for picture in (large, small):
        live.evaluate(DROP, png(picture))
    live.wait_for_selector("body[data-read='2']", state="attached")
    found = np.array(live.evaluate("Array.from(Live.ownImage.slice.image)")).reshape(64, 64)
    assert np.abs(found - normalize(small[None], "minmax")[0]).max() < 1e-5
    live.get_by_role("button", name="Remove").click()
    shown(live, "case=1")


def test_a_picture_that_is_too_large_to_be_kept_says_so_and_leaves_no_older_one(live: Page) -> None:
    picture = np.random.default_rng(0).integers(20, 200, (64, 64), np.uint8)
    live.evaluate(DROP, png(picture))
    shown(live, "case=own")
    expect(live.locator("#kept")).to_contain_text("until")
    live.evaluate(DROP, png(np.kron(picture, np.ones((40, 40), np.uint8))))
    expect(live.locator("#kept")).to_contain_text("lost on reloading", timeout=PATIENCE)
    live.reload()
    shown(live, "case=1")


def test_a_picture_can_be_pasted_or_chosen_and_is_left_by_the_arrows(live: Page) -> None:
    for number, give in enumerate((PASTE, None)):
        picture = np.random.default_rng(number).integers(20, 200, (64, 64), np.uint8)
        if give:
            live.evaluate(give, png(picture))
        else:
            live.locator("#file").set_input_files(
                {"name": "a.png", "mimeType": "image/png", "buffer": b64decode(png(picture))}
            )
        shown(live, "case=own")
        found = np.array(live.evaluate("Array.from(Live.ownImage.slice.image)")).reshape(64, 64)
        assert np.abs(found - normalize(picture[None], "minmax")[0]).max() < 1e-5
        live.keyboard.press("ArrowRight")
        shown(live, "case=1")


def test_a_file_that_is_no_picture_is_refused_and_the_page_goes_on(live: Page) -> None:
    name, told = f"{'1.2.840.' * 12}notes.txt", live.locator("#said").inner_text()
    live.set_viewport_size(PHONE)
    live.locator("#file").set_input_files({"name": name, "mimeType": "text/plain", "buffer": b"no picture"})
    expect(live.get_by_role("alert")).to_contain_text(name)
    assert live.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    expect(live.locator("#said")).to_have_text(told)  # of what is still shown
    live.set_viewport_size(SIZE)
    live.locator("#file").set_input_files(
        {"name": "gray.png", "mimeType": "image/png", "buffer": b64decode(png(np.full((8, 8), 7, np.uint8)))}
    )
    expect(live.get_by_role("alert")).to_contain_text("one gray value")
    live.keyboard.press("ArrowRight")
    shown(live, "case=2")
    expect(live.get_by_role("alert")).to_be_hidden()


def test_on_a_phone_the_arrows_stand_beside_the_slices_and_a_picture_of_ones_own(live: Page) -> None:
    live.set_viewport_size(PHONE)
    live.evaluate(DROP, png(np.random.default_rng(0).integers(20, 200, (64, 64), np.uint8)))
    shown(live, "case=own")
    assert live.locator("#thumbs button").count() == 7
    back, slices, forward = live.evaluate(
        "['back', 'thumbs', 'forward'].map(name => document.getElementById(name).getBoundingClientRect().toJSON())"
    )
    assert back["y"] == forward["y"]
    assert back["right"] < slices["left"] < slices["right"] < forward["left"] < forward["right"] <= PHONE["width"]
    live.get_by_role("button", name="Remove").click()
    shown(live, "case=1")
