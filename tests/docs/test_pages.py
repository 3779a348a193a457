"""All Markdown pages: their links, and the settings and files that they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from dainet.settings import load_settings
from tests.helpers import REPOSITORY
from tests.helpers.documents import anchors, links, pages
from tests.test_layout import FLOORS

GROUPS = {name: type(value).model_fields for name, value in load_settings() if isinstance(value, BaseModel)}
# A setting as pages write it: `data.split`, `data.split=my.csv`, --set data.split=..., {"data.split": ...}; no file.
SETTING = re.compile(rf"""(?:`|--set ['"]?|\{{")({"|".join(GROUPS)})\.(?!n?py)(\w+)(?=[`="])""")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            broken.append(target)
    assert not broken


def test_every_setting_that_a_page_names_exists() -> None:
    named = {
        (page.name, group, field)
        for page in pages()
        if page.name != "CHANGELOG.md"  # speaks of the past
        for group, field in SETTING.findall(page.read_text(encoding="utf-8"))
    }
    assert len(named) > 30
    assert not {line for line in named if line[2] not in GROUPS[line[1]]}


def test_every_file_of_the_repository_that_a_page_names_exists() -> None:
    named = {
        (page.name, path)
        for page in pages()
        if page.name != "CHANGELOG.md"
        for path in re.findall(
            r"`((?:dainet|study|tests|docs|benchmarks|data_scripts|examples|teaching|workflow)/[\w./-]+)`",
            page.read_text(encoding="utf-8"),
        )
    }
    assert len(named) > 20
    assert not {line for line in named if not (REPOSITORY / line[1]).exists()}


def test_the_index_lists_every_page_of_docs() -> None:
    docs = REPOSITORY / "docs"
    assert set(links(docs / "README.md")) >= {path.name for path in docs.glob("*.md")} - {"README.md"}


def test_the_floors_of_the_architecture_are_those_that_a_test_holds() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    written = [set(line.split()) for line in re.findall(r"^    (.*)$", text, re.MULTILINE)]
    assert written == [set(floor) for floor in FLOORS]


def test_every_word_of_the_glossary_has_an_anchor_of_its_own() -> None:
    text = (REPOSITORY / "docs/glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| (?!word |-)(.+?) \|", text, re.MULTILINE)
    ids = re.findall(r'<a id="([^"]+)"></a>', text)
    assert len(words) > 20
    assert [word for word in words if not word.startswith("<a id=")] == []
    assert len(ids) == len(set(ids)) >= len(words)
