"""What the book quotes: a section of the README, and CITATION.cff as BibTeX."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from book.quoted import bibtex, section
from tests.helpers import REPOSITORY


def test_a_section_ends_where_the_next_one_begins(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\nwords\n\n## One\n\nfirst\n\n### below\n\nsecond\n\n## Two\n\nlast\n")
    assert section(page, "One") == "first\n\n### below\n\nsecond"
    assert section(page, "Two") == "last"
    with pytest.raises(KeyError, match="Three"):
        section(page, "Three")


def test_bibtex_has_the_paper_before_the_kit_with_every_field_of_the_citation() -> None:
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    entries = bibtex(REPOSITORY / "CITATION.cff")
    assert re.findall(r"^@(\w+)\{[\w-]+,$", entries, re.MULTILINE) == ["inproceedings", "software"]
    assert entries.count("{") == entries.count("}")
    paper, kit = (dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE)) for entry in entries.split("@")[1:])
    people = [f"{who['family-names']}, {who['given-names']}" for who in cited["preferred-citation"]["authors"]]
    assert paper["author"].split(" and ") == people
    assert paper["title"] == f"{{{cited['preferred-citation']['title']}}}"
    assert paper["year"] == str(cited["preferred-citation"]["year"])
    assert kit["author"] == f"{{{cited['authors'][0]['name']}}}"
    assert (kit["version"], kit["license"]) == (cited["version"], cited["license"])


def test_the_first_page_has_every_number_of_the_findings(book_site: Path) -> None:
    numbers = re.findall(r"[+-]\d+\.\d\d", section(REPOSITORY / "README.md", "What was found"))
    shown = (book_site / "index.html").read_text().split('id="what-was-found"')[1]
    assert len(numbers) > 12
    assert re.findall(r"[+-]\d+\.\d\d", shown)[: len(numbers)] == numbers
