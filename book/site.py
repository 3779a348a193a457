"""The whole site, built into one folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.cmd.build import build_main

from book.api import api_pages
from book.live.folder import build_live
from book.npm import fetch
from book.solutions import solutions_page
from book.sources import gather
from book.stories.build import build_stories
from book.teachers import teaching_page
from dainet.errors import DainetError
from teaching.build import NOTEBOOKS, build

__all__ = ["build_site", "copy_mathjax", "made_pages"]


def build_site(output: Path) -> Path:
    """Gather the pages and build the site into `output`/html; return its first page.

    Raises:
        InputError: a package of npm has never been fetched, and there is no network; see `book.npm.fetch`.
        DainetError: Sphinx has warned of something, such as a link that leads nowhere.
    """
    source, html = output / "source", output / "html"
    build(output / "teaching", lessons="../../notebooks")
    if gather(source, made_pages(output / "teaching")):
        shutil.rmtree(html, ignore_errors=True)  # Sphinx would leave the pages of sources that are gone
    shutil.copytree(output / "teaching", html / "teaching/pages", dirs_exist_ok=True)
    copy_mathjax(html / "_static" / "mathjax")
    _run_sphinx(source, html, output / "doctrees")
    for path in [*html.glob("_static/*webpack-macros.html"), *html.glob("_static/**/*.map")]:
        path.unlink()  # templates and debugging aids of the theme, which no page uses
    build_stories(html)
    build_live(html / "live")
    return html / "index.html"


def made_pages(handed_out: Path) -> dict[str, str]:
    """Return the pages made by code, in Markdown, by place in the book; `handed_out` holds what a class is given."""
    reference = {f"api/{name}": text for name, text in api_pages().items()}
    teaching = {"teaching/README.md": teaching_page(handed_out), "teaching/solutions.md": solutions_page(NOTEBOOKS)}
    return reference | teaching


def copy_mathjax(folder: Path) -> None:
    """Copy the one file that draws formulas without loading anything else, and its license."""
    package = fetch("mathjax")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("es5/tex-svg.js", "LICENSE"):
        shutil.copy2(package / name, folder)


def _run_sphinx(source: Path, html: Path, doctrees: Path) -> None:
    settings = Path(__file__).parent
    options = ["--quiet", "--jobs=auto", "--fail-on-warning", "--keep-going", f"--doctree-dir={doctrees}"]
    if build_main([*options, f"--conf-dir={settings}", str(source), str(html)]):
        raise DainetError("Sphinx has named above what it cannot build or link; mend it in the page and build again")
