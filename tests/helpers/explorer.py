"""Every control of the explorer touched in a browser, and what is shown compared with an explorer of this process."""

from __future__ import annotations

import re

from playwright.sync_api import Page

from dainet.explorer import Explorer
from tests.helpers.browser import wait_for


def drive(page: Page, explorer: Explorer) -> None:
    """Touch every control with mouse or keyboard, do the same in this process, and compare what is to be read."""
    controls = explorer.controls
    assert_same(page, explorer)
    assert_accessible(page, explorer)
    predict_and_reset(page, explorer)
    for i, toggle in enumerate(controls.skips):
        page.locator(".dainet-network button").nth(i).click()
        toggle.value = False
        assert_same(page, explorer)
    for i, toggle in enumerate(controls.heads):
        button = page.locator(".dainet-heads button").nth(i)
        button.focus()
        page.keyboard.press("Space")  # as without a mouse
        toggle.value = False
        assert_same(page, explorer)
        assert button.inner_text() == f"Head {i + 1} off"
    page.get_by_label("Cut to", exact=True).select_option("its own mean")
    controls.instead.label = "its own mean"
    assert_same(page, explorer)
    page.get_by_role("button", name="Pin this").click()
    explorer.view.pin.click()
    assert_same(page, explorer)
    slider = page.locator(".dainet .noUi-handle").first
    slider.focus()
    page.keyboard.press("ArrowRight" if controls.slice.value < controls.slice.max else "ArrowLeft")
    controls.slice.value += 1 if controls.slice.value < controls.slice.max else -1
    assert_same(page, explorer)
    for label in ("Single encoder", "U-Net", "Dual encoder"):
        page.get_by_role("button", name=label).click()
        controls.model.label = label
        assert_same(page, explorer)
    for label, control, option in (
        ("Attention", controls.source, "random weights"),
        ("Patient", controls.patient, "patient019 (valid)"),
        ("Phase", controls.phase, "ES"),
        ("Colors", controls.palette, "color-blind safe"),
        ("Maps in", controls.color_map, "cividis"),
    ):
        page.get_by_label(label, exact=True).select_option(option)
        control.label = option
        assert_same(page, explorer)
    page.get_by_label("Attention", exact=True).select_option("fine-tuned")
    train_in_place(page)


def predict_and_reset(page: Page, explorer: Explorer) -> None:
    """Answer the first question of the card, compare what it says, and switch everything on again."""
    page.get_by_label("Change of the volume's mean DSC").fill("-5")
    page.get_by_role("button", name="Show it").click()
    explorer.card.guess.value = "-5"
    explorer.card.show.click()
    assert_same(page, explorer)
    said = re.sub(r"<[^>]*>", "", explorer.card.result.value)
    wait_for(lambda: said in page.locator(".dainet-card").inner_text(), said)
    page.get_by_role("button", name="Reset").click()
    explorer.view.reset.click()
    assert_same(page, explorer)


def assert_accessible(page: Page, explorer: Explorer) -> None:
    """Assert that a screen reader has a name and a state for every control, and that Tab reaches all in their order."""
    assert tab_order(page) == page.evaluate(_CONTROLS)
    read_aloud = page.locator(".dainet").aria_snapshot()
    assert not re.findall(r"(?m)^\s*- (?:slider|button|combobox|textbox|spinbutton)(?! \").*$", read_aloud)
    for name in ("Slice", "Opacity"):
        assert page.get_by_role("slider", name=name, exact=True).count() == 1
    for group, chosen in (("Model", "Dual encoder"), ("Mode", "Cut at inference")):
        pressed = page.get_by_role("group", name=group, exact=True).get_by_role("button", pressed=True)
        assert pressed.all_inner_texts() == [chosen]
    controls = explorer.controls
    for number, toggle in enumerate(controls.skips, 1):
        name = f"skip ({number}) of the attention encoder"
        assert page.get_by_role("button", name=name, exact=True, pressed=toggle.value).count() == 1
    for pressed_now in (False, True):
        page.get_by_role("button", name="Head 1").press("Space")
        page.get_by_role("button", name="Head 1", pressed=pressed_now).wait_for()
    assert_same(page, explorer)


def tab_order(page: Page) -> list[str]:
    """Press Tab from the first control on until the explorer is left, and return what had the focus."""
    page.get_by_role("combobox", name="Data set").focus()
    visited = []
    while focused := page.evaluate(_FOCUSED):
        visited.append(focused)
        page.keyboard.press("Tab")
    return visited


# What one sees of the control that has the focus, null outside the explorer; and of all that are enabled.
_FOCUSED = """() => {
    const control = document.activeElement;
    return control.closest('.dainet') && [control.ariaLabel, control.textContent, control.placeholder].join();
}"""
_CONTROLS = """() => [...document.querySelectorAll('.dainet :is(select, button, input, .noUi-handle, .widget-readout)')]
    .filter(control => control.checkVisibility() && !control.disabled)
    .map(control => [control.ariaLabel, control.textContent, control.placeholder].join())"""


def train_in_place(page: Page) -> None:
    """Switch on (4) alone, choose the mode of trained networks, train the network that this asks for, stop, resume."""
    page.locator(".dainet-network button").nth(3).click()
    page.get_by_role("button", name="Trained with this setting").click()
    page.wait_for_selector(".dainet .message:has-text('Not computed yet: dual-0001')")
    page.get_by_role("button", name="Train it now").click()
    counted = re.compile(r"dual-0001; epochs: [1-9]")  # a quick epoch is over before its number is seen
    page.locator(".dainet [role=status]", has_text=counted).wait_for()
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".dainet [role=status]:has-text('stopped after epoch')")
    page.get_by_role("button", name="Resume").click()
    page.wait_for_selector(".dainet .message", state="detached")
    wait_for(lambda: re.match(r"\d+\.\d", read(page)[-1]))


def assert_same(page: Page, explorer: Explorer) -> None:
    """Wait until the browser shows what this process shows: the table, the drawing, and every picture."""
    drawing = re.search('aria-label="([^"]*)"', explorer.view.network.value)[1]
    wait_for(lambda: page.locator(".dainet svg").get_attribute("aria-label") == drawing, drawing)
    # Playwright runs an event loop in this thread too, so here as there the volume follows the slice.
    wait_for(
        lambda: read(page) == table(explorer) and "…" not in table(explorer),
        lambda: f"{read(page)}, expected {table(explorer)}",
    )
    expected = [picture(html.value) for html in (*explorer.view.pictures, *explorer.view.maps)]
    wait_for(lambda: pictures(page) == expected, "pictures differ")


def read(page: Page) -> list[str]:
    return [" ".join(text.split()) for text in page.locator(".dainet td").all_inner_texts()]


def table(explorer: Explorer) -> list[str]:
    """Numbers and changes of the table, as one reads them."""
    return [re.sub(r"<[^>]*>", "", cell) for cell in re.findall("<td>(.*?)</td>", explorer.view.scores.value)]


def pictures(page: Page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('.dainet figure img')].map(image => image.src)")


def picture(html: str) -> str:
    return re.search('src="([^"]*)"', html)[1]


_BOXES = """explorer => {
    explorer.scrollIntoView({block: 'start'});
    const shown = [...explorer.querySelectorAll('img, button, select, table, svg, .noUi-target')]
        .filter(inner => inner.checkVisibility({visibilityProperty: true}) && inner.getBoundingClientRect().width);
    const box = each => ({of: each.outerHTML.slice(0, 80), ...each.getBoundingClientRect().toJSON()});
    return [explorer, ...shown].map(box);
}"""


def assert_fits(page: Page) -> None:
    """Assert that the whole explorer fits into what is free at 1200 x 800."""
    page.wait_for_selector(".dainet td:has-text('.')")
    wait_for(lambda: "…" not in read(page))
    box, *parts = page.locator(".dainet").evaluate(_BOXES)  # at one moment: what lies above may still grow
    assert box["width"] <= 1110, box
    assert box["height"] <= 680, box
    assert parts
    for part in parts:
        assert box["left"] <= part["left"], part
        assert box["top"] <= part["top"], part
        assert part["right"] <= box["right"] + 1, part
        assert part["bottom"] <= box["bottom"] + 1, part


def assert_nothing_is_cut_sideways(page: Page, width: int) -> None:
    """Assert that in a window of this width no part of the explorer hides, or scrolls to, its right end."""
    before = page.viewport_size
    page.set_viewport_size({"width": width, "height": 800})
    assert page.locator(".dainet").evaluate(_CUT_SIDEWAYS) == []
    if before:
        page.set_viewport_size(before)


_CUT_SIDEWAYS = """explorer => [explorer, ...explorer.querySelectorAll('*')]
    .filter(inner => inner.clientWidth && inner.scrollWidth > inner.clientWidth + 1
        && getComputedStyle(inner).overflowX !== 'visible').map(inner => inner.outerHTML.slice(0, 80))"""
