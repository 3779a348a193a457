"""The explorer in headless Chromium, served by a real JupyterLab and by Voila.

Screenshots go to the folder named in DAINET_SCREENSHOTS, if there is one.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import nbformat
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from dainet.explorer import Explorer, explorable
from dainet.lessons.reproduce import find_notebooks

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
SIZE: ViewportSize = {"width": 1200, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
PATIENCE = 180_000  # ms; a busy machine starts a kernel slowly, and tests wait for states, never for seconds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]


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


@pytest.fixture
def lab(runs_copy: Path, trained_runs: tuple[Path, dict[str, Any]], tmp_path: Path) -> Iterator[str]:
    """Address of notebook 06 in JupyterLab, with the settings of the tiny data."""
    folder = tmp_path / "lab"
    folder.mkdir()
    notebook = load_notebook_node(str(find_notebooks(["06"])[0]))
    parameters = {"PROFILE": "tour", "OVERRIDES": trained_runs[1]}
    nbformat.write(parameterize_notebook(notebook, parameters), folder / "06_explorer.ipynb")
    news = folder / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", f"--ServerApp.root_dir={folder}"),
        *("--ServerApp.port_retries=0", "--ServerApp.allow_root=True", "--IdentityProvider.token=for-this-test"),
        "--LabApp.expose_app_in_browser=True",
    ]
    places = {"JUPYTERLAB_SETTINGS_DIR": str(folder / "config" / "lab" / "user-settings")}
    places |= {"JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"), "JUPYTER_CONFIG_DIR": str(folder / "config")}
    with server(command, port, runs_copy, places):
        yield f"http://localhost:{port}/lab/tree/06_explorer.ipynb?token=for-this-test"


@pytest.fixture
def voila(runs_copy: Path, trained_runs: tuple[Path, dict[str, Any]]) -> Iterator[str]:
    """Address of the page that `make explorer` serves, with the settings of the tiny data."""
    port = free_port()
    items = [part for name, value in trained_runs[1].items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "dainet", "explorer", "--no-browser", "--port", str(port), *items]
    with server(command, port, runs_copy, {}) as log:
        yield wait_for(lambda: re.search(rf"http://localhost:{port}/\S*token=\S+", log.read_text()))[0]


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
    drive(page, explorer)


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


def drive(page: Page, explorer: Explorer) -> None:
    """Touch every control with mouse or keyboard, do the same in this process, and compare what is to be read."""
    controls = explorer.controls
    assert_same(page, explorer)
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


def train_in_place(page: Page) -> None:
    """Switch on (4) alone, choose the mode of trained networks, and train the network that this asks for."""
    page.locator(".dainet-network button").nth(3).click()
    page.get_by_role("button", name="Trained with this setting").click()
    page.wait_for_selector(".dainet .message:has-text('Not computed yet: dual-0001')")
    page.get_by_role("button", name="Train it now").click()
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


@contextmanager
def server(command: list[str], port: int, runs: Path, extra: dict[str, str]) -> Iterator[Path]:
    log = runs.parent / "server.log"
    environment = os.environ | {"DAINET_RUNS": str(runs), "OMP_NUM_THREADS": "1"} | extra
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: answers(port) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        process.terminate()
        process.wait(30)


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://localhost:{port}/static/nothing", timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def wait_for(state: Callable[[], Any], what: str | Callable[[], str] = "state not reached") -> Any:
    """Ask until the answer is true; the patience is for a busy machine, not part of the test."""
    end = monotonic() + PATIENCE / 1000
    while not (answer := state()):
        assert monotonic() < end, what() if callable(what) else what
        sleep(0.05)
    return answer


def save_screenshot(page: Page, name: str) -> None:
    if folder := os.environ.get("DAINET_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


CONNECTED = """
() => {
  const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}
"""
FINISHED = """
() => {
  const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code');
  return cells.every(cell => cell.model.executionCount && cell.model.executionState !== 'running');
}
"""
# Contrast of the text against the first opaque background behind it, by the formula of WCAG 2.
CONTRAST = """
selector => [...document.querySelectorAll(selector)].filter(e => e.textContent.trim()).map(element => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const luminance = color => color.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let behind = element;
  while (behind && (rgb(getComputedStyle(behind).backgroundColor)[3] ?? 1) < 1) behind = behind.parentElement;
  const style = getComputedStyle(element);
  const text = rgb(element.tagName === 'text' ? style.fill : style.color);
  const [a, b] = [luminance(text), luminance(rgb(getComputedStyle(behind).backgroundColor))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
})
"""
