"""All pages for a class, written into one folder."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import nbformat

from teaching.handout import handout_page
from teaching.pages import render
from teaching.slides import read_slides
from teaching.votes import read_objectives, read_votes

__all__ = ["NOTEBOOKS", "build", "lesson_title", "print_pdf"]

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*.ipynb"))
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
log = logging.getLogger(__name__)


def build(output: Path, notebooks: Sequence[Path] = NOTEBOOKS, lessons: str = "") -> Path:
    """Write decks, handout, votes, answer key, objectives and an index that links to them; return the index.

    Args:
        output: folder of the pages.
        notebooks: the lessons.
        lessons: address of the folder with the lessons as pages, from `output`, to which decks then link back.

    Raises:
        InputError: a cell shows nothing, a formula cannot be drawn, or votes and objectives are incomplete.
    """
    votes, objectives = read_votes(), read_objectives()
    titles = {path: lesson_title(path) for path in notebooks}
    decks = {path: slides for path in notebooks if (slides := read_slides(path))}
    for path in titles.keys() - decks.keys():
        log.warning("%s has no deck; give the cells that a lecture shows the tag slide", path.name)
    pages = {
        "handout.html": handout_page(),
        "votes.html": render("votes.html", votes=votes, key=False),
        "votes_key.html": render("votes.html", votes=votes, key=True),
        "objectives.html": render("objectives.html", titles=titles, objectives=objectives),
    }
    for path, slides in decks.items():
        of_lesson = {number: vote for number, vote in enumerate(votes, 1) if vote.lesson == path.name[:2]}
        back = f"../{lessons}/{path.stem}.html" if lessons else ""
        pages[f"slides/{path.stem}.html"] = render(
            "slides.html", title=titles[path], slides=slides, votes=of_lesson, lesson=back
        )
    (output / "slides").mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (output / name).write_text(text, encoding="utf-8")
    index, printed = output / "index.html", print_pdf(output / "handout.html")
    index.write_text(render("index.html", titles=titles, decks=decks, printed=printed), encoding="utf-8")
    return index


def print_pdf(page: Path) -> bool:
    """Print a page to a PDF next to it with Chromium; if that cannot be done, say so and return False."""
    pdf = page.with_suffix(".pdf")
    pdf.unlink(missing_ok=True)  # it would be of an older page
    program = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if program is None:
        log.info("no Chromium: %s is not printed; print it from a browser", page.name)
        return False
    problem: object = "Chromium wrote no file"  # a confined one may not write here, and still ends well
    # Chromium's sandbox does not work for root, and this page is our own.
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-pdf-header-footer",
        "--generate-pdf-document-outline",
        "--virtual-time-budget=60000",  # ms that scripts of the page get, such as those that draw formulas
        f"--print-to-pdf={pdf.resolve()}",
    )
    try:
        subprocess.run([program, *options, page.resolve().as_uri()], check=True, capture_output=True, timeout=300)
    except subprocess.SubprocessError as error:
        problem = error
    if not pdf.exists():
        log.warning("%s is not printed (%s); print it from a browser", page.name, problem)
    return pdf.exists()


def lesson_title(path: Path) -> str:
    """Return the first heading of a notebook, such as "1. Data preparation: from scans to arrays"."""
    return str(nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].lstrip("# "))
