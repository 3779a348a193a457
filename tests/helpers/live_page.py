"""The live page in a browser: opened, brought to a state, given pictures."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.helpers.browser import PATIENCE, SIZE

__all__ = ["DROP", "PASTE", "go", "open_page", "png", "shown"]

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


def open_page(browser: Browser, folder: Path, before: str = "") -> tuple[Page, list[str]]:
    """Open the page from the disk, and note what it says to the console and asks for outside its folder."""
    page, said = browser.new_page(viewport=SIZE), list[str]()
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if _is_outside(request.url, folder) else None)
    page.add_init_script(before)
    page.goto((folder / "index.html").as_uri())
    return page, said


def go(page: Page, hash_: str) -> None:
    """Change the end of the address, and wait until the page has shown what it says."""
    page.evaluate("hash => { delete document.body.dataset.shown; location.hash = hash; Live.state.follow(); }", hash_)
    shown(page, hash_)


def shown(page: Page, part: str) -> None:
    """Wait until the page has shown a state whose address holds `part`."""
    page.wait_for_selector(f"body[data-shown*='{part or 'organ'}']", state="attached")


def png(picture: np.ndarray) -> str:
    """Encode gray values as PNG in base64."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return b64encode(buffer.getvalue()).decode()


def _is_outside(url: str, folder: Path) -> bool:
    return not url.startswith((folder.as_uri(), "blob:", "data:"))
