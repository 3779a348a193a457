"""The explorer's page in headless Chromium, served by Voila as `make explorer` serves it.

Screenshots go to the folder named in DAINET_SCREENSHOTS, if there is one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from dainet.explorer import Explorer
from tests.helpers.browser import NEEDS_CHROMIUM, PHONE, free_port, server, wait_for
from tests.helpers.explorer import assert_fits, drive

pytestmark = NEEDS_CHROMIUM


@pytest.fixture
def voila(runs_copy: Path, trained_runs: tuple[Path, dict[str, Any]]) -> Iterator[str]:
    """Address of the page that `make explorer` serves, with the settings of the tiny data."""
    port = free_port()
    items = [part for name, value in trained_runs[1].items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "dainet", "explorer", "--no-browser", "--port", str(port), *items]
    with server(command, port, runs_copy, {}) as log:
        yield wait_for(lambda: re.search(rf"http://localhost:{port}/\S*token=\S+", log.read_text()))[0]


def test_every_control_on_the_page(page: Page, voila: str, explorer: Explorer) -> None:
    page.goto(voila)
    assert_fits(page)
    assert page.locator("h1").inner_text().startswith("6.")
    drive(page, explorer)


def test_nothing_is_cut_off_on_a_phone(page: Page, voila: str) -> None:
    page.set_viewport_size(PHONE)
    page.goto(voila)
    page.wait_for_selector(".dainet td:has-text('.')")
    page.get_by_label("Change of the volume's mean DSC").fill("-5")
    page.get_by_role("button", name="Show it").click()
    page.wait_for_selector(".dainet-card :text('You predicted')")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    inner = page.locator(".dainet :is(img, button, select, input, table, svg, .noUi-target, .widget-label, .note)")
    boxes = [element.bounding_box() for element in inner.all() if element.is_visible()]
    assert len(boxes) > 50
    assert min(box["x"] for box in boxes) >= 0
    assert max(box["x"] + box["width"] for box in boxes) <= PHONE["width"]
    for text in page.locator(".dainet :is(button, .widget-label)").all():
        assert text.evaluate("e => e.scrollWidth <= e.clientWidth + 1"), text.inner_text()


def test_a_stranger_gets_no_page(page: Page, voila: str) -> None:
    page.goto(voila.split("?")[0])
    assert page.locator(".dainet").count() == 0
    assert "token" in page.content().lower()
