"""The live page in headless Chromium, opened from the disk: what it computes is what PyTorch computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from dainet.segmentation.evaluation import class_dsc
from tests.helpers.browser import NEEDS_CHROMIUM
from tests.helpers.live import live_logits, live_maps, live_slices
from tests.helpers.live_page import go, shown

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
NEAR = 1e-4  # between the two best logits, where rounding decides which wins
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


def test_the_folder_has_less_than_20_mb(live_folder: Path) -> None:
    assert sum(path.stat().st_size for path in live_folder.rglob("*") if path.is_file()) < 20_000_000


@pytest.mark.parametrize("organ", live_slices())
def test_maps_equal_those_of_pytorch(live: Page, organ: str) -> None:
    for number, item in enumerate(live_slices()[organ]["slices"]):
        found = live.evaluate(MAPS, [organ, number])
        assert np.abs(np.array(found) - live_maps(organ, item["vit_image"])[1].flatten().numpy()).max() < NEAR


def test_a_class_that_appears_says_so_because_it_enters_the_mean(live: Page) -> None:
    go(live, "organ=abdomen&case=2&heads=111111&skips=0000&mode=cut")
    values = live.evaluate(
        "() => [...document.querySelectorAll('#dsc tr')].map(row => [...row.cells].map(cell => cell.innerText))"
    )
    assert [name for name, dual in ((row[0], row[3]) for row in values) if "was –" in dual] == ["Gallbladder"]


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
        item.get_by_role("textbox").fill("2")  # another guess at what is shown
        item.get_by_role("textbox").press("Enter")
        expect(item.locator("output")).to_contain_text("+2.0")
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
    for name in ("dual", "dualErrors", "change"):
        label = live.locator(f"#{name}").get_attribute("aria-label")
        assert label
        assert "dual-1111" not in label  # which was shown before
    offered = live.locator("#offersButtons button").all_inner_texts()
    assert sorted(offered) == sorted(name for name in live_slices()["heart"]["networks"] if name.startswith("dual-"))
    distances = [sum(a != b for a, b in zip(name[-4:], "1011", strict=True)) for name in offered]
    assert distances == sorted(distances)
    live.locator("#offersButtons button", has_text="dual-1111").click()
    shown(live, "skips=1111&mode=trained")
    expect(live.locator("#offers")).to_be_hidden()


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


def mean_change(page: Page) -> str:
    """Return the change of the mean DSC as the page says it."""
    return page.locator("#said").inner_text().split(", ")[1].split()[0]
