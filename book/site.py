"""The whole site, built into one folder."""

from __future__ import annotations

from pathlib import Path

from sphinx.cmd.build import build_main

from book.sources import gather
from dainet.errors import DainetError

__all__ = ["build_site"]


def build_site(output: Path) -> Path:
    """Gather the pages and build the site into `output`/html; return its first page.

    Raises:
        DainetError: Sphinx has warned of something, such as a link that leads nowhere.
    """
    source, html = output / "source", output / "html"
    gather(source)
    _run_sphinx(source, html, output / "doctrees")
    return html / "index.html"


def _run_sphinx(source: Path, html: Path, doctrees: Path) -> None:
    settings = Path(__file__).parent
    options = ["--quiet", "--jobs=auto", f"--doctree-dir={doctrees}"]
    if build_main([*options, f"--conf-dir={settings}", str(source), str(html)]):
        raise DainetError("Sphinx has named above what it cannot build or link; mend it in the page and build again")
