"""Headless Chromium, and servers for it that run as processes of their own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
import pytest
from playwright.sync_api import Page, ViewportSize

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
SIZE: ViewportSize = {"width": 1200, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
PATIENCE = 180_000  # ms; a busy machine starts a kernel slowly, and tests wait for states, never for seconds

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

# For `pytestmark`.
NEEDS_CHROMIUM = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]


@contextmanager
def server(
    command: list[str], port: int, runs: Path, extra: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a server until the context ends; gives its process and its log once it answers."""
    log = runs.parent / "server.log"
    environment = os.environ | {"DAINET_RUNS": str(runs), "OMP_NUM_THREADS": "1"} | extra
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: answers(port) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield process, log
    finally:
        process.terminate()
        process.wait(300)


@contextmanager
def lab_server(root: Path, runs: Path) -> Iterator[Callable[[str], str]]:
    """Serve a folder with JupyterLab, without its news; give the address of a file below it."""
    own = root.parent / "jupyter"
    news = own / "settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", f"--ServerApp.root_dir={root}"),
        *("--ServerApp.port_retries=0", "--ServerApp.allow_root=True", "--IdentityProvider.token=for-this-test"),
        "--LabApp.expose_app_in_browser=True",
    ]
    places = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_CONFIG_DIR": ".",
    }
    with server(command, port, runs, {name: str(own / place) for name, place in places.items()}):
        yield lambda name: f"http://localhost:{port}/lab/tree/{name}?token=for-this-test"


def kernels(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the living kernels of a server."""
    found = []
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):  # it has just ended
            found += [child] if any("ipykernel" in word for word in child.cmdline()) else []
    return found


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
    if (folder := os.environ.get("DAINET_SCREENSHOTS")) and not page.is_closed():
        page.screenshot(path=Path(folder) / f"{name}.png")
