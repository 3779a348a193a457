"""What tests in a browser share: one Chromium for each module, and the runs that its servers show."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from book.live.folder import build_live
from dainet.errors import InputError
from dainet.explorer import Explorer, explorable
from tests.helpers.browser import CHROMIUM, FLAGS, PATIENCE, SIZE, save_screenshot
from tests.helpers.live_page import go, open_page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    page = browser.new_page(viewport=SIZE)
    page.set_default_timeout(PATIENCE)
    yield page
    save_screenshot(page, request.node.name)
    page.close()


@pytest.fixture
def explorer(trained_runs: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Explorer:
    """Build the same explorer in this process; it shows what the browser must show."""
    monkeypatch.setenv("DAINET_RUNS", str(trained_runs[0]))
    return Explorer(explorable("tour", trained_runs[1]))


@pytest.fixture
def runs_copy(trained_runs: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """Copy the runs for the servers, so that a training in the browser does not change those of other tests."""
    return shutil.copytree(trained_runs[0], tmp_path / "runs")


@pytest.fixture(scope="module")
def live_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the page once; without its runtime and without network there is nothing to test."""
    output = tmp_path_factory.mktemp("site") / "live"
    try:
        build_live(output)
    except InputError as error:
        pytest.skip(f"make book: {error}")
    return output


@pytest.fixture(scope="module")
def live_window(browser: Browser, live_folder: Path) -> tuple[Page, list[str]]:
    """Open the page once, since the runtime takes its time to start; and what goes to the console, or elsewhere."""
    return open_page(browser, live_folder)


@pytest.fixture
def live(live_window: tuple[Page, list[str]]) -> Iterator[Page]:
    """Give the page as it opens: first slice, everything on; its console must stay empty."""
    page, said = live_window
    page.set_viewport_size(SIZE)
    go(page, "")
    yield page
    assert said == []
