"""The typeset report: all of its headings, words and cells, its pictures as vectors, the same bytes twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dainet.errors import InputError
from dainet.places import repository_root
from study.typeset import last_change, to_typst, typeset

PAGE = repository_root() / "docs" / "reproduction.md"


def content(source: str) -> str:
    """What a Typst source prints: its strings, without marks."""
    return "".join(re.findall(r'#(?:text|raw)\("((?:[^"\\]|\\.)*)"', source)).replace('\\"', '"')


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text.replace("\N{MINUS SIGN}", "-"))


def test_every_heading_paragraph_and_cell_of_the_report_is_typeset() -> None:
    source = to_typst(PAGE)
    printed = squeezed(content(source))
    text = re.sub(r"<!--.*?-->|</?a[^>]*>", "", re.sub(r"!\[.*?\]\(.*?\)", "", PAGE.read_text(encoding="utf-8")))
    lines = [line for line in text.splitlines() if not re.fullmatch(r"[|: -]*", line)]
    parts = [part for line in lines for part in (line.split("|") if line.startswith("|") else [line])]
    for part in parts:
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)|[*`]|^#+ |^- ", r"\1", part.strip())
        assert squeezed(plain.removeprefix("- ")) in printed, part
    assert text.count("\n#") == source.count("#heading(") - 1


def test_pictures_are_vectors_and_links_within_the_page_lead_somewhere() -> None:
    source = to_typst(PAGE)
    pictures = re.findall(r'#picture\("/(.*?)"', source)
    assert len(pictures) == PAGE.read_text(encoding="utf-8").count("![")
    assert all((repository_root() / name).read_bytes().startswith(b"%PDF") for name in pictures)
    labels = re.findall(r"#metadata\(none\) <(.*?)>", source)
    assert len(set(labels)) == len(labels)
    assert set(re.findall(r'label\("(.*?)"\)', source)) <= set(labels)
    assert "the-papers-claims" in labels


def test_columns_of_numbers_stand_right_and_signs_are_minus_signs(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# T\n\n## A\n\n| a b | n |\n|---|---|\n| x - y | -0.5 to +1.0 |\n| dual-1 | < 1 % |\n\n## B\n")
    source = to_typst(page, "2026-11-27")
    assert "align: (left, right)" in source
    assert '#text("x \N{MINUS SIGN} y")' in source
    assert '#text("\N{MINUS SIGN}0.5 to +1.0")' in source
    assert '#text("dual-1")' in source
    assert "datetime(year: 2026, month: 11, day: 27)" in source


def test_what_no_rule_typesets_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# T\n\n## A\n\n> quoted\n\n## B\n")
    with pytest.raises(InputError, match="blockquote"):
        to_typst(page)


def test_the_date_is_that_of_a_commit_not_of_the_clock() -> None:
    assert re.fullmatch(r"(\d{4}-\d\d-\d\d)?", last_change(PAGE))


def test_the_pdf_has_the_same_bytes_twice(tmp_path: Path) -> None:
    pytest.importorskip("typst", reason="of the extra `study`")
    first, second = (typeset(PAGE, tmp_path / name / "report.pdf").read_bytes() for name in ("a", "b"))
    assert first == second
    assert first.startswith(b"%PDF")
