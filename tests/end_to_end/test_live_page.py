"""The live page in headless Chromium, opened from the disk: what it computes is what PyTorch computes."""

from __future__ import annotations

import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from book.live.folder import build_live
from dainet.data.preprocessing import normalize, resize_slices
from dainet.errors import InputError
from dainet.segmentation.evaluation import class_dsc
from tests.helpers.browser import CONTRAST, NEEDS_CHROMIUM, PATIENCE, PHONE, SIZE
from tests.helpers.live import live_logits, live_maps, live_slices

pytestmark = NEEDS_CHROMIUM
ON = ("111111", "1111")
CUTS = [
    ON,
    *(("".join("01"[i != head] for i in range(6)), "1111") for head in range(6)),
    *(("111111", "".join("01"[i != skip] for i in range(4))) for skip in range(4)),
    ("000000", "1111"),
    ("111111", "0000"),
]
STAND_INS = [
    ("011111", "1111", "mean"),
    ("000000", "1111", "mean"),
    ("111110", "1111", "other"),
    ("000000", "0111", "other"),
]
TEXTS = [
    *("h1", "p:not(.missing)", "th", "td", "td span", "label", "figcaption", "small", "svg > text"),
    "button:not(.switch)",  # whose ground is drawn by a pseudo-element
]
NEAR = 1e-4  # between the two best logits, where rounding decides which wins


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the page once; without its runtime and without network there is nothing to test."""
    output = tmp_path_factory.mktemp("site") / "live"
    try:
        build_live(output)
    except InputError as error:
        pytest.skip(f"make book: {error}")
    return output


@pytest.fixture(scope="module")
def window(browser: Browser, folder: Path) -> tuple[Page, list[str]]:
    """Open the page once, since the runtime takes its time to start; and what goes to the console, or elsewhere."""
    return open_page(browser, folder)


@pytest.fixture
def live(window: tuple[Page, list[str]]) -> Iterator[Page]:
    """Give the page as it opens: first slice, everything on; its console must stay empty."""
    page, said = window
    page.set_viewport_size(SIZE)
    go(page, "")
    yield page
    assert said == []


def open_page(browser: Browser, folder: Path, before: str = "") -> tuple[Page, list[str]]:
    """Open the page from the disk, and note what it says to the console and asks for outside its folder."""
    page, said = browser.new_page(viewport=SIZE), list[str]()
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if is_outside(request.url, folder) else None)
    page.add_init_script(before)
    page.goto((folder / "index.html").as_uri())
    return page, said


@pytest.mark.parametrize("organ", live_slices())
def test_labels_and_dsc_equal_those_of_pytorch(live: Page, organ: str) -> None:
    facts = live_slices()[organ]
    every_maps = [live_maps(organ, item["vit_image"])[1] for item in facts["slices"]]
    for number, (item, maps) in enumerate(zip(facts["slices"], every_maps, strict=True)):
        others = every_maps[(number + 1) % len(every_maps)]
        instead = {"zero": torch.zeros(()), "mean": maps.mean(dim=(2, 3), keepdim=True), "other": others}
        states = [state for name in facts["networks"] for state in states_of(name)]
        labels = live.evaluate(LABELS, [organ, number, states])
        for state, label in zip(states, labels, strict=True):
            logits = live_logits(organ, state[0], item["image"], maps, *switches(state), instead[state[3]])[0]
            found = np.array([int(digit) for digit in label]).reshape(item["label"].shape)
            assert_same_labels(found, logits, f"{organ} {number} {state}")
        assert_shown_scores(live, organ, number, maps)


def test_the_folder_has_less_than_20_mb(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 20_000_000


@pytest.mark.parametrize("organ", live_slices())
def test_maps_equal_those_of_pytorch(live: Page, organ: str) -> None:
    for number, item in enumerate(live_slices()[organ]["slices"]):
        found = live.evaluate(MAPS, [organ, number])
        assert np.abs(np.array(found) - live_maps(organ, item["vit_image"])[1].flatten().numpy()).max() < NEAR


def test_buttons_and_keys_switch_heads_skips_and_slices(live: Page) -> None:
    live.get_by_role("button", name="attention map of head 6").click()
    live.get_by_role("switch", name="skip (1) of").click()
    shown(live, "heads=111110&skips=0111")
    expect(live.get_by_role("switch", name="skip (1) of")).to_have_attribute("aria-checked", "false")
    expect(live.get_by_role("button", name="attention map of head 6")).to_have_attribute("aria-pressed", "false")
    expect(live.locator("#drawing")).to_contain_text("5 of 6 maps")
    lines = live.locator("#drawing line.switched")  # full resolution first, and switch (1) is the deepest
    assert lines.evaluate_all("all => all.map(line => line.classList.contains('on'))") == [True, True, True, False]
    for key, end in KEYS:
        live.keyboard.press(key)
        shown(live, end)
    live.get_by_label("Abdomen").check()
    live.keyboard.press("2")  # the radio button keeps the focus, and its arrows
    shown(live, "organ=abdomen&case=1&heads=101111")
    live.keyboard.press("ArrowLeft")
    shown(live, "organ=heart&case=1&heads=101111")
    third = live.locator("#thumbs button").nth(2)
    third.press("Enter")
    shown(live, "case=3")
    expect(third).to_be_focused()


def test_what_is_typed_as_a_guess_switches_nothing_and_is_compared_with_what_was_found(live: Page) -> None:
    go(live, "case=2")
    for item in live.locator("#tries li").all():
        item.get_by_role("textbox").fill("-1,5")
        item.get_by_role("textbox").press("1")
        item.get_by_role("textbox").press("Enter")
        expect(item.locator("output")).to_contain_text("\N{MINUS SIGN}1.5")
        patch = item.evaluate("item => ({...item.dataset})")
        shown(live, f"heads={patch['heads']}&skips={patch['skips']}&mode={patch['mode']}")
        expect(item.locator("output")).to_contain_text(mean_change(live))
    assert live.locator("#tries li").count() == 6
    live.get_by_role("heading", level=1).click()  # the keys are the page's again
    live.go_back()
    patch = live.locator("#tries li").nth(4).evaluate("item => ({...item.dataset})")
    shown(live, f"heads={patch['heads']}&skips={patch['skips']}&mode={patch['mode']}")


def test_an_address_is_followed_and_what_makes_no_sense_in_it_is_ignored(live: Page) -> None:
    go(live, "organ=abdomen&case=3&heads=000111&skips=0110&mode=cut&colors=safe&instead=mean")
    expect(live.get_by_label("color-blind safe")).to_be_checked()
    expect(live.get_by_label("Cut to")).to_have_value("mean")
    live.evaluate(
        "location.hash = 'organ=liver&case=99&heads=12&skips=11111&mode=__proto__&colors=&x=1&case=own&instead=0'"
    )
    shown(live, "#organ=heart&case=1&heads=111111&skips=1111&mode=cut")


def test_what_stands_in_for_a_head_is_chosen_by_its_control_which_keeps_its_arrows(live: Page) -> None:
    go(live, "heads=011111")
    said, control = live.locator("#said"), live.get_by_label("Cut to")
    found = [said.inner_text()]
    for words, value in (("its own mean", "mean"), ("another patient's", "other")):
        control.select_option(words)
        shown(live, f"heads=011111&skips=1111&mode=cut&instead={value}")
        found.append(said.inner_text())
    assert len(set(found)) == 3
    control.press("z")  # zeros, by its first letter, as in every list
    shown(live, "heads=011111&skips=1111&mode=cut")
    expect(said).to_have_text(found[0])
    control.press("ArrowRight")
    control.press("2")
    shown(live, "case=1&heads=001111&skips=1111&mode=cut")
    live.get_by_role("heading", level=1).click()  # the keys are the page's again


def test_heads_that_were_cut_wait_while_a_trained_network_with_all_heads_is_shown(live: Page) -> None:
    go(live, "heads=011110&skips=0000&mode=cut&instead=mean")
    live.get_by_label("Trained with").check()
    shown(live, "heads=111111&skips=0000&mode=trained")
    assert "instead" not in live.url
    expect(live.locator("#tries li").nth(2).locator("output")).to_be_visible()  # its setting is shown
    live.get_by_label("Cut in").check()
    shown(live, "heads=011110&skips=0000&mode=cut&instead=mean")


def test_where_a_network_was_not_trained_the_page_offers_those_that_were(live: Page) -> None:
    go(live, "skips=1011&mode=trained")
    expect(live.locator("#offers")).to_be_visible()
    offered = live.locator("#offersButtons button").all_inner_texts()
    assert sorted(offered) == sorted(name for name in live_slices()["heart"]["networks"] if name.startswith("dual-"))
    distances = [sum(a != b for a, b in zip(name[-4:], "1011", strict=True)) for name in offered]
    assert distances == sorted(distances)
    live.locator("#offersButtons button", has_text="dual-1111").click()
    shown(live, "skips=1111&mode=trained")
    expect(live.locator("#offers")).to_be_hidden()


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
    live.locator("#file").set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    expect(live.get_by_role("alert")).to_contain_text("notes.txt")
    live.locator("#file").set_input_files(
        {"name": "gray.png", "mimeType": "image/png", "buffer": b64decode(png(np.full((8, 8), 7, np.uint8)))}
    )
    expect(live.get_by_role("alert")).to_contain_text("one gray value")
    live.keyboard.press("ArrowRight")
    shown(live, "case=2")
    expect(live.get_by_role("alert")).to_be_hidden()


def test_networks_that_are_still_loaded_leave_no_pictures_of_another_organ(browser: Browser, folder: Path) -> None:
    page, said = open_page(browser, folder)
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
def test_a_browser_that_is_too_old_is_told_so(browser: Browser, folder: Path, before: str, missing: str) -> None:
    page, said = open_page(browser, folder, before)
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
    browser: Browser, folder: Path, tmp_path: Path, name: str, spoil: Callable[[str], str | None]
) -> None:
    shutil.copytree(folder, tmp_path / "live")
    file = tmp_path / "live" / "data" / f"{name}.js"
    spoiled = spoil(file.read_text(encoding="ascii"))
    file.unlink()
    if spoiled:
        file.write_text(spoiled, encoding="ascii")
    page, _ = open_page(browser, tmp_path / "live")
    expect(page.get_by_role("alert")).to_contain_text(file.name, timeout=PATIENCE)
    expect(page.locator("#said")).to_be_empty()
    page.close()


def test_a_runtime_that_does_not_start_is_said(browser: Browser, folder: Path) -> None:
    page, _ = open_page(browser, folder, before="URL.createObjectURL = () => 'blob:nothing'")
    expect(page.get_by_role("alert")).to_contain_text("ONNX Runtime")
    page.close()


def states_of(name: str) -> list[tuple[str, str, str, str]]:
    """Return network, heads, skips and stand-in for every cut of a network: of skips in the dual one alone."""
    if name == "vit":
        return []
    cuts = CUTS if name == "dual-1111" else CUTS[:7] if name == "single" else CUTS[:1]
    stand_ins = STAND_INS if name in ("dual-1111", "single") else []
    return [*((name, *cut, "zero") for cut in cuts), *((name, *cut) for cut in stand_ins)]


def switches(state: tuple[str, str, str, str]) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    heads, skips = (tuple(digit == "1" for digit in digits) for digits in state[1:3])
    return heads, skips


def assert_same_labels(found: np.ndarray, logits: torch.Tensor, what: str) -> None:
    """Compare labels [H, W] with logits [C, H, W], but not where the two best logits are nearly equal."""
    best = logits.topk(2, dim=0).values
    differs = (torch.from_numpy(found) != logits.argmax(0)) & (best[0] - best[1] > NEAR)
    assert not differs.any(), f"{what}: {int(differs.sum())} pixels"


def assert_shown_scores(page: Page, organ: str, number: int, maps: torch.Tensor) -> None:
    """Compare the column of the dual encoder in the table, everything on."""
    item, classes = live_slices()[organ]["slices"][number], live_slices()[organ]["classes"]
    go(page, f"organ={organ}&case={number + 1}")
    label = live_logits(organ, "dual-1111", item["image"], maps).argmax(1)
    truth = torch.from_numpy(item["label"].copy())[None]
    expected = [100 * dsc for dsc in class_dsc(label, truth, len(classes)).tolist()]
    texts = page.locator("#dsc tr:not(.volumes) td:last-child").all_inner_texts()
    for text, dsc in zip(texts, expected, strict=False):
        value = text.split()[0]
        assert np.isnan(dsc) if value == "–" else abs(float(value) - dsc) < 0.051, (organ, number, texts, expected)


def go(page: Page, hash_: str) -> None:
    """Change the end of the address, and wait until the page has shown what it says."""
    page.evaluate("hash => { delete document.body.dataset.shown; location.hash = hash; Live.state.follow(); }", hash_)
    shown(page, hash_)


def shown(page: Page, part: str) -> None:
    """Wait until the page has shown a state whose address holds `part`."""
    page.wait_for_selector(f"body[data-shown*='{part or 'organ'}']", state="attached")


def mean_change(page: Page) -> str:
    """Return the change of the mean DSC as the page says it."""
    return page.locator("#said").inner_text().split(", ")[1].split()[0]


def is_outside(url: str, folder: Path) -> bool:
    return not url.startswith((folder.as_uri(), "blob:", "data:"))


def png(picture: np.ndarray) -> str:
    """Encode gray values as PNG in base64."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return b64encode(buffer.getvalue()).decode()


# Key, and what the address then holds.
KEYS = [
    ("1", "heads=011110"),
    ("6", "heads=011111"),
    ("Shift+Digit2", "skips=0011"),
    ("r", "skips=0010"),
    ("q", "skips=1010"),
    ("ArrowRight", "case=2"),
    ("ArrowLeft", "case=1"),
    ("ArrowLeft", "case=6"),
    ("0", "heads=111111&skips=1111"),
]
LABELS = """
async ([organ, number, states]) => {
  const [slice, labels] = [Live.organs[organ].slices[number], []];
  for (const [name, heads, skips, instead] of states) {
    const logits = await Live.networks.logits(organ, slice, name, heads, skips, instead);
    labels.push(Live.scores.labels(logits, Live.organs[organ].classes.length + 1).join(''));
  }
  return labels;
}
"""
MAPS = "async ([organ, number]) => Array.from(await Live.networks.maps(organ, Live.organs[organ].slices[number]))"
PASTE = """
base64 => {
  const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], 'picture.png', {type: 'image/png'}));
  document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true}));
}
"""
DROP = """
base64 => {
  const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], 'picture.png', {type: 'image/png'}));
  document.body.dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true}));
}
"""
