"""Reading the built book from the disk in headless Chromium: formulas, solutions, code, contrast."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

from tests.helpers import REPOSITORY
from tests.helpers.browser import CONTRAST, NEEDS_CHROMIUM
from tests.helpers.documents import Page as Markup

pytestmark = NEEDS_CHROMIUM
LESSON = "notebooks/04_single_vs_dual_encoder.html"  # formulas, tables, code, solutions and messages


def test_formulas_are_drawn_solutions_open_and_code_is_copied(page: Page, book_site: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto((book_site / LESSON).as_uri())
    expect(page.locator("mjx-container svg").first).to_be_visible()
    assert page.locator("mjx-merror").count() == 0
    solution = page.locator("article details").first
    code = solution.locator("div.highlight pre")
    expect(code).to_be_hidden()
    solution.locator("summary").click()
    expect(code).to_be_visible()
    assert code.locator("span[class]").count() > 3  # highlighted: Markdown within the solution is rendered
    solution.locator("div.highlight").hover()
    solution.locator("button.copybtn").click()
    expect(solution.locator("button.copybtn.success")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").strip() == code.inner_text().strip()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_tables_code_and_messages_are_readable(page: Page, book_site: Path, mode: str) -> None:
    page.emulate_media(color_scheme="dark" if mode == "dark" else "light")
    for name in (LESSON, "notebooks/06_explorer.html", "source/dainet/segmentation.html"):
        page.goto((book_site / name).as_uri())
        expect(page.locator("html")).to_have_attribute("data-theme", mode)
        for selector in ("p", "td", "th", "pre", "pre span", "code", "p a", "div"):
            assert min(page.evaluate(CONTRAST, f"article {selector}"), default=21) >= 4.5, (name, selector)
        assert len(page.evaluate(CONTRAST, "article *")) > 20


def test_every_figure_of_a_notebook_keeps_its_alternative_text(book_site: Path) -> None:
    for path in sorted(REPOSITORY.glob("notebooks/0*.ipynb")):
        outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
        texts = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
        page = Markup((book_site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8"))
        shown = [image["alt"] for image in page.all("img")]
        assert texts
        assert [text for text in texts if text not in shown] == []
