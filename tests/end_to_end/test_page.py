"""The explorer's page in headless Chromium, served by Voila as `make explorer` serves it.

Screenshots go to the folder named in DAINET_SCREENSHOTS, if there is one.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from playwright.sync_api import Page

from dainet.explorer import Explorer
from tests.helpers.browser import NEEDS_CHROMIUM, PHONE, free_port, kernels, server, wait_for
from tests.helpers.explorer import assert_fits, drive

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def served(
    trained_runs: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Popen[bytes], Path]]:
    """Serve one page at a time, with the settings of the tiny data; a lost page has 2 seconds to connect again."""
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    runs = shutil.copytree(trained_runs[0], folder / "runs")  # a training in the browser changes them
    (folder / "voila.json").write_text('{"PageKernels": {"cull_idle_timeout": 2, "cull_interval": 1}}')
    items = [part for name, value in trained_runs[1].items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "dainet", "explorer", "--no-browser", "--port", str(port), "--pages", "1", *items]
    with server(command, port, runs, {"JUPYTER_CONFIG_DIR": str(folder)}) as started:
        yield started


@pytest.fixture
def voila(served: tuple[Popen[bytes], Path]) -> str:
    """Address of the page that `make explorer` serves, once it is free."""
    process, log = served
    wait_for(lambda: not kernels(process))
    return wait_for(lambda: re.search(r"http://localhost:\S*token=\S+", log.read_text()))[0]


def test_every_control_on_the_page(page: Page, voila: str, explorer: Explorer) -> None:
    page.goto(voila)
    assert_fits(page)
    assert page.locator("h1").inner_text().startswith("6.")
    drive(page, explorer)


def test_nothing_is_cut_off_on_a_phone_or_in_a_narrow_window(page: Page, voila: str) -> None:
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
    page.set_viewport_size({"width": 900, "height": 800})  # JupyterLab beside its open file browser
    lists = [page.get_by_label(label, exact=True) for label in ("Attention", "Cut to")]
    wait_for(lambda: min(each.bounding_box()["width"] for each in lists) > 100)


def test_a_stranger_gets_no_page(page: Page, voila: str) -> None:
    page.goto(voila.split("?")[0])
    assert page.locator(".dainet").count() == 0
    assert "token" in page.content().lower()


def test_kernels_end_with_their_pages(page: Page, voila: str, served: tuple[Popen[bytes], Path]) -> None:
    process, log = served
    memory = []
    page.goto(voila)
    for reloads in range(2):
        page.wait_for_selector(".dainet td:has-text('.')")
        memory.append(sum(kernel.memory_info().rss for kernel in kernels(process)))
        assert len(kernels(process)) == 1
        assert log.read_text().count("204 POST /voila/api/shutdown/") == reloads, "asked for by the page that is left"
        if not reloads:
            page.reload()
    assert max(memory) < 1.2 * memory[0]
    late = page.request.get(voila)
    assert late.status == 503
    for fact in ("1 of 1 pages", "--pages"):
        assert fact in late.text()
    assert "Traceback" not in late.text()
    page.close()  # without asking: its connection is lost, as in a crash
    wait_for(lambda: not kernels(process))
