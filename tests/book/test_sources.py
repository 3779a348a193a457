"""The pages of the book: which are copied, and which of them its table of contents names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from book import sources
from book.sources import REPOSITORY, gather, links_of


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small repository: the book's page leads to a notebook, and that to a page and a picture."""
    cell = {"cell_type": "markdown", "source": ["![x](../a%20b.png)\n", "[y](2.md#z)"]}
    files = {
        "book/index.md": "```{toctree}\nOne <lessons/1.ipynb>\n```\n[code](code.py), `[no](lessons/unlinked.md)`",
        "lessons/1.ipynb": json.dumps({"cells": [cell]}),
        "lessons/2.md": "[outside](https://example.org/a.md) [up](../../outside.md) [back](1.ipynb)",
        "lessons/unlinked.md": "",
        "a b.png": "",
        "code.py": "",
    }
    for name, text in files.items():
        (tmp_path / "repo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "repo" / name).write_text(text, encoding="utf-8")
    (tmp_path / "outside.md").touch()
    monkeypatch.setattr(sources, "REPOSITORY", tmp_path / "repo")
    monkeypatch.setattr(sources, "_OWN", tmp_path / "repo" / "book")
    return tmp_path / "repo"


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_pages_and_pictures_are_followed_from_the_books_own_pages(repository: Path, tmp_path: Path) -> None:
    assert gather(tmp_path / "source", {}) == []
    assert files_in(tmp_path / "source") == {"index.md", "lessons/1.ipynb", "lessons/2.md", "a b.png"}


def test_unchanged_pages_are_not_written_again_and_others_are_removed(repository: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    gather(source, {})
    before = {name: (source / name).stat().st_mtime_ns for name in files_in(source)}
    (repository / "lessons/2.md").write_text("changed", encoding="utf-8")
    assert gather(source, {}) == []
    after = {name: (source / name).stat().st_mtime_ns for name in files_in(source)}
    assert {name for name in before if before[name] != after[name]} == {"lessons/2.md"}
    (repository / "book/index.md").write_text("[2](lessons/2.md)", encoding="utf-8")
    assert {path.name for path in gather(source, {})} == {"1.ipynb", "a b.png"}
    assert files_in(source) == {"index.md", "lessons/2.md"}


def test_a_page_made_by_code_stands_for_a_file_and_is_followed(repository: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    gather(source, {"lessons/2.md": "made", "api/3.md": "[unlinked](../lessons/unlinked.md)"})
    assert (source / "lessons/2.md").read_text(encoding="utf-8") == "made"
    assert {"api/3.md", "lessons/unlinked.md"} <= files_in(source)


def test_every_page_of_the_documentation_and_every_notebook_is_in_the_table_of_contents() -> None:
    listed = set(links_of(Path("index.md"), (REPOSITORY / "book/index.md").read_text(encoding="utf-8")))
    wanted = [*REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("notebooks/0*.ipynb"), REPOSITORY / "teaching/README.md"]
    assert {path.relative_to(REPOSITORY).as_posix() for path in wanted} <= listed
