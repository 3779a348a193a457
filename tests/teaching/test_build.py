"""The command: which pages it leaves, and that none of them needs a network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from markupsafe import escape
from nbformat.v4 import new_markdown_cell, new_notebook

from dainet.settings import load_settings
from teaching.build import NOTEBOOKS, build, print_pdf
from teaching.slides import read_slides
from teaching.votes import read_votes
from tests.helpers import REPOSITORY
from tests.helpers.notebooks import lesson

FETCHING = {"src", "href", "srcset", "data", "poster", "action"}


class Addresses(HTMLParser):
    """Collects what a page would fetch or lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.images_without_text = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [str(value) for name, value in attrs if name in FETCHING]
        self.images_without_text += tag == "img" and not dict(attrs).get("alt")


def addresses(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    parser = Addresses()
    parser.feed(text)
    assert not parser.images_without_text, page
    yield from parser.found
    yield from re.findall(r"url\(([^)]*)\)|@import\s+(\S+)", re.sub(r"data:[^\"]*", "", text))


def test_every_page_is_there_and_index_leads_to_all_of_them(built: Path) -> None:
    pages = {path.relative_to(built).as_posix() for path in built.rglob("*.html")}
    assert pages == {"index.html", "handout.html", "votes.html", "votes_key.html", "objectives.html"} | {
        f"slides/{path.stem}.html" for path in NOTEBOOKS
    }
    links = set(addresses(built / "index.html"))
    assert pages - {"index.html"} <= links
    assert all((built / link).is_file() for link in links)


def test_no_page_fetches_anything(built: Path) -> None:
    for page in built.rglob("*.html"):
        if page.name != "index.html":
            assert [link for link in addresses(page) if not str(link).startswith("data:image/")] == [], page.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_has_four_to_nine_slides_and_begins_with_its_title(path: Path) -> None:
    slides = read_slides(path)
    assert 4 <= len(slides) <= 9
    assert slides[0].startswith("<h1>")


def test_a_deck_ends_with_the_votes_of_its_lesson_without_their_reasons(built: Path) -> None:
    for path in NOTEBOOKS:
        deck = (built / "slides" / f"{path.stem}.html").read_text(encoding="utf-8")
        for vote in read_votes():
            assert (f"{escape(vote.question)}" in deck) == (vote.lesson == path.name[:2])
            assert not [choice for choice in vote.choices if f"{escape(choice.reason)}" in deck]


def test_slides_of_real_scans_name_their_license() -> None:
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            if "slide" in cell.metadata.get("tags", []) and re.search(r"!\[.*acdc-study/\S+\.png", cell.source):
                assert "CC BY-NC-SA" in cell.source, (path.name, cell.source[:80])


def test_a_notebook_without_slides_is_named_and_has_no_deck(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notebook = tmp_path / "08_untagged.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# 8. Untagged")]), notebook)
    index = build(tmp_path / "out", [notebook])
    assert "08_untagged.ipynb" in caplog.text
    assert "08_untagged" not in index.read_text(encoding="utf-8")


def test_the_question_of_the_lab_about_places_takes_the_control_that_keeps_them() -> None:
    """Notebook 7: maps of another patient know where a heart usually is; those of random weights were never taught."""
    readme = (REPOSITORY / "teaching" / "README.md").read_text(encoding="utf-8")
    [question] = [line for line in readme.splitlines() if "more than a hint" in line]
    control = json.loads(re.findall(r"`({.*})`", question)[0])
    assert load_settings("tour", control).attention.control == "other-patient"
    prose = "\n".join(cell.source for cell in lesson("07").cells)
    [row] = [line for line in prose.splitlines() if line.startswith("| `dual-1111-other-patient`")]
    assert "where a heart usually is matters" in row


@pytest.mark.parametrize("script", [None, "exit 0", "exit 1"], ids=["no Chromium", "nothing written", "failed"])
def test_a_page_that_cannot_be_printed_is_named_and_has_no_pdf_of_an_older_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, script: str | None
) -> None:
    if script:
        program = tmp_path / "chromium"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    page, old = tmp_path / "handout.html", tmp_path / "handout.pdf"
    page.touch()
    old.touch()
    with caplog.at_level("INFO"):
        assert not print_pdf(page)
    assert page.name in caplog.text
    assert not old.exists()
