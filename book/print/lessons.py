"""The lessons as one PDF, from the pages of the book."""

from __future__ import annotations

import re
from pathlib import Path

from filelock import FileLock

from book.site import copy_mathjax, run_sphinx
from book.solutions import solutions_page
from book.sources import gather
from dainet.errors import DainetError
from teaching.build import NOTEBOOKS, lesson_title, print_pdf

__all__ = ["build_pdf"]

_TITLE = """# Transformers pay attention to convolutions

The lessons of dainet, a tutorial and reproducibility kit for *Transformers Pay Attention to Convolutions*
(Yeganeh et al., ICCV workshops 2023). Notebooks are shown as they are stored; solutions of the exercises stand at the
end.

{contents}

```{{toctree}}
:hidden:

{pages}
```
"""
_DOWNLOAD = re.compile(r'<a class="[^"]*\bdownload\b[^"]*"[^>]*>(.*?)</a>', re.DOTALL)


def build_pdf(output: Path) -> Path:
    """Print all lessons, with the solutions at the end, as `output`/lessons.pdf.

    Raises:
        DainetError: Sphinx has warned of something, or Chromium is missing or cannot print.
    """
    output.mkdir(parents=True, exist_ok=True)
    with FileLock(output / ".lock"):
        page = _build(output / "print/source", output / "print/html", output / "print/doctrees")
        if not print_pdf(page):
            raise DainetError("the lessons are not printed; install Chromium, or print the page from a browser")
        return page.with_suffix(".pdf").replace(output / "lessons.pdf")


def _build(source: Path, html: Path, doctrees: Path) -> Path:
    """Build all lessons as one page, and return it."""
    gather(source, {"index.md": _title_page(), "teaching/solutions.md": solutions_page(NOTEBOOKS)})
    copy_mathjax(html / "_static/mathjax")
    run_sphinx(Path(__file__).parent, source, html, doctrees, builder="singlehtml")
    page = html / "lessons.html"
    page.write_text(_DOWNLOAD.sub(r"\1", (html / "index.html").read_text(encoding="utf-8")), encoding="utf-8")
    return page


def _title_page() -> str:
    """Return the first page in Markdown, with links to the lessons."""
    contents = [f"- [{lesson_title(path)}](notebooks/{path.name})" for path in NOTEBOOKS]
    pages = [*(f"notebooks/{path.name}" for path in NOTEBOOKS), "teaching/solutions.md"]
    return _TITLE.format(
        contents="\n".join([*contents, "- [Solutions](teaching/solutions.md)"]), pages="\n".join(pages)
    )
