"""The whole site, built into one folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from filelock import FileLock
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

__all__ = ["build_site", "copy_mathjax", "made_pages", "run_sphinx"]


def build_site(output: Path) -> Path:
    """Gather the pages and build the site into `output`/html; return its first page.

    Raises:
        InputError: a package of npm has never been fetched, and there is no network; see `book.npm.fetch`.
        DainetError: Sphinx has warned of something, such as a link that leads nowhere.
    """
    output.mkdir(parents=True, exist_ok=True)
    with FileLock(output / ".lock"):
        _build(output / "source", output / "html", output / "teaching", output / "doctrees")
    return output / "html/index.html"


def _build(source: Path, html: Path, handed_out: Path, doctrees: Path) -> None:
    shutil.rmtree(handed_out, ignore_errors=True)
    build(handed_out, lessons="../../notebooks")
    if gather(source, made_pages(handed_out)):
        shutil.rmtree(html, ignore_errors=True)  # Sphinx would leave the pages of sources that are gone
    for regenerated in ("source", "teaching/pages"):
        shutil.rmtree(html / regenerated, ignore_errors=True)
    shutil.copytree(handed_out, html / "teaching/pages")
    copy_mathjax(html / "_static/mathjax")
    build_live(html / "live")
    build_stories(html)
    run_sphinx(Path(__file__).parent, source, html, doctrees)
    for path in [*html.glob("_static/*webpack-macros.html"), *html.glob("_static/**/*.map")]:
        path.unlink()  # templates and debugging aids of the theme, which no page uses


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


def run_sphinx(settings: Path, source: Path, html: Path, doctrees: Path, builder: str = "html") -> None:
    """Build the pages in `source` with the conf.py in the folder `settings`.

    Raises:
        DainetError: Sphinx has warned of something. The next build then reads every page, and warns again.
    """
    options = ["--quiet", "--jobs=auto", "--fail-on-warning", "--keep-going", f"--builder={builder}"]
    if build_main([*options, f"--conf-dir={settings}", f"--doctree-dir={doctrees}", str(source), str(html)]):
        shutil.rmtree(doctrees, ignore_errors=True)  # else Sphinx would skip the pages that it has warned of
        raise DainetError("Sphinx has named above what it cannot build or link; mend it in the page and build again")
