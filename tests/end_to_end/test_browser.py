"""The explorer in headless Chromium, in a real JupyterLab.

Screenshots go to the folder named in DAINET_SCREENSHOTS, if there is one.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from playwright.sync_api import Page

from dainet.explorer import Explorer
from dainet.lessons.reproduce import find_notebooks
from tests.helpers import REPOSITORY
from tests.helpers.browser import CONTRAST, NEEDS_CHROMIUM, lab_server, save_screenshot, wait_for
from tests.helpers.explorer import assert_fits, assert_nothing_is_cut_sideways, drive

pytestmark = NEEDS_CHROMIUM


@pytest.fixture
def lab(runs_copy: Path, trained_runs: tuple[Path, dict[str, Any]], tmp_path: Path) -> Iterator[str]:
    """Address of notebook 06 in JupyterLab, with the settings of the tiny data."""
    folder = tmp_path / "lab"
    folder.mkdir()
    notebook = load_notebook_node(str(find_notebooks(["06"])[0]))
    parameters = {"PROFILE": "tour", "OVERRIDES": trained_runs[1]}
    nbformat.write(parameterize_notebook(notebook, parameters), folder / "06_explorer.ipynb")
    with lab_server(folder, runs_copy) as address:
        yield address("06_explorer.ipynb")


def test_every_control_in_jupyterlab(page: Page, lab: str, explorer: Explorer) -> None:
    open_notebook(page, lab)
    run_all(page)
    assert (
        page.locator(
            ".jp-OutputArea-output[data-mime-type*=error], .jp-OutputArea-output[data-mime-type*=stderr]"
        ).count()
        == 0
    )
    assert_fits(page)
    assert_nothing_is_cut_sideways(page, 1000)
    drive(page, explorer)
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    wait_for(lambda: not page.evaluate("window.jupyterapp.shell.currentWidget.context.model.dirty"))
    assert not page.get_by_role("alert").is_visible()
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.get_by_role("alert").get_by_text("kernel of this explorer has ended").wait_for()
    assert page.locator(".dainet").evaluate(BROKEN_SIGNS) == []
    save_screenshot(page, "kernel gone")
    page.reload()
    page.get_by_text("a stored copy cannot show it").wait_for()
    assert page.locator(".dainet").count() == 0
    assert not page.get_by_text("Error displaying widget").is_visible()


def test_dark_theme_in_jupyterlab(page: Page, lab: str) -> None:
    open_notebook(page, lab)
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.wait_for_selector("[data-jp-theme-light=false]", state="attached")
    run_all(page)
    page.locator(".dainet-heads button").first.click()
    page.wait_for_selector(".dainet :is(.up, .down)")
    for what in ("th", "td", ".widget-label", ".note", "figcaption", "svg > text", ".up", ".down"):
        for ratio in page.evaluate(CONTRAST, f".dainet {what}"):
            assert ratio > 4.5, f"{what}: contrast {ratio:.1f}; WCAG asks for 4.5"


def test_opened_in_its_repository_a_notebook_shows_links_and_pictures_and_is_saved_unchanged(
    page: Page, tmp_path: Path
) -> None:
    [path] = find_notebooks(["06"])
    root = tmp_path / "repository"
    for file in (path, REPOSITORY / "figures" / "explorer.png", REPOSITORY / "docs" / "protocol.md"):
        (root / file.parent.name).mkdir(parents=True)
        shutil.copy(file, root / file.parent.name)
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.language_info.version = platform.python_version()
    opened = root / "notebooks" / path.name
    nbformat.write(notebook, opened)
    before = opened.read_bytes()
    with lab_server(root, tmp_path / "runs") as address:
        open_notebook(page, address(f"notebooks/{path.name}"))
        page.evaluate(SAVE)
        picture = page.locator(".jp-RenderedMarkdown img[src*='explorer.png']")
        picture.scroll_into_view_if_needed()
        wait_for(lambda: picture.evaluate("image => image.naturalWidth"))
        page.locator(".jp-RenderedMarkdown a[href*='protocol.md'][href$='#5.19']").click()
        anchor = page.locator("[data-jupyter-id='5.19'], [id='5.19']")  # as new and old JupyterLabs write it
        wait_for(lambda: anchor.evaluate("anchor => anchor.getBoundingClientRect().top < innerHeight"))
    assert opened.read_bytes() == before


def open_notebook(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".jp-Notebook")
    wait_for(lambda: page.evaluate(CONNECTED))  # a cell that is run earlier may wait forever
    page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")


def run_all(page: Page) -> None:
    """Run all cells and wait until the last has run."""
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_selector(".dainet table", state="attached")
    wait_for(lambda: page.evaluate(FINISHED))
    wait_for(lambda: page.evaluate(CONNECTED))


# Signs that JupyterLab puts before each widget of a dead kernel.
BROKEN_SIGNS = """
explorer => [explorer, ...explorer.querySelectorAll('.jupyter-widgets')]
  .filter(widget => getComputedStyle(widget, '::before').display !== 'none'
    && getComputedStyle(widget, '::before').content !== 'none').map(widget => widget.className)
"""
CONNECTED = """
() => {
  const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}
"""
SAVE = """
async () => {
  const notebook = window.jupyterapp.shell.currentWidget;
  await notebook.sessionContext.session.kernel.info;  // which goes into the file
  await notebook.context.save();
}
"""
FINISHED = """
() => {
  const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code');
  return cells.every(cell => cell.model.executionCount && cell.model.executionState !== 'running');
}
"""
