"""The whole site, built into one folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.cmd.build import build_main

from book.live.folder import build_live
from book.npm import fetch
from book.sources import gather
from book.stories.build import build_stories
from dainet.errors import DainetError

__all__ = ["build_site"]


def build_site(output: Path) -> Path:
    """Gather the pages and build the site into `output`/html; return its first page.

    Raises:
        InputError: a package of npm has never been fetched, and there is no network; see `book.npm.fetch`.
        DainetError: Sphinx has warned of something, such as a link that leads nowhere.
    """
    source, html = output / "source", output / "html"
    if gather(source):
        shutil.rmtree(html, ignore_errors=True)  # Sphinx would leave the pages of sources that are gone
    _copy_mathjax(html / "_static" / "mathjax")
    _run_sphinx(source, html, output / "doctrees")
    for path in [*html.glob("_static/*webpack-macros.html"), *html.glob("_static/**/*.map")]:
        path.unlink()  # templates and debugging aids of the theme, which no page uses
    build_stories(html)
    build_live(html / "live")
    return html / "index.html"


def _copy_mathjax(folder: Path) -> None:
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
