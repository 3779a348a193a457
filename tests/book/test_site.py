"""The built book: its links, that it loads nothing from elsewhere, and builds after one that failed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from book import source_pages
from book.print.lessons import build_pdf
from book.site import build_site, run_sphinx
from dainet.errors import DainetError
from tests.helpers import REPOSITORY
from tests.helpers.documents import Page
from tests.helpers.site import faults


@pytest.mark.slow
def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(book_site: Path) -> None:
    assert faults(book_site) == []


def test_a_linked_folder_lists_its_files_and_a_linked_file_is_shown_whole(book_site: Path) -> None:
    folder = REPOSITORY / "dainet" / "segmentation"
    listing = Page((book_site / "source/dainet/segmentation.html").read_text(encoding="utf-8"))
    assert {f"segmentation/{path.name}.html" for path in folder.glob("*.py")} <= set(listing.targets())
    shown = Page((book_site / "source/dainet/segmentation/losses.py.html").read_text(encoding="utf-8"))
    lines = (folder / "losses.py").read_text(encoding="utf-8").count("\n")
    assert {f"L-{number}" for number in range(1, lines + 1)} <= shown.ids()
    assert f"L-{lines + 1}" not in shown.ids()


def test_what_is_neither_text_nor_small_data_is_not_shown_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_pages, "REPOSITORY", tmp_path)
    files = {"a.txt": "é".encode(), "latin.txt": b"\xe9", "net.pt": b"\x80\x02", "large.csv": b"1" * 400_000}
    for name, content in {**files, "small.csv": b"1"}.items():
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    shown = source_pages.shown(["folder"])
    assert {path.as_posix() for path in shown} == {"folder", "folder/a.txt", "folder/small.csv"}
    [(_, page, _), _] = source_pages.pages_of(shown, [])
    assert all(name in page["body"] for name in files)


@pytest.mark.parametrize(
    ("build", "first"), [(build_site, "book.site.build"), (build_pdf, "book.print.lessons.gather")]
)
def test_two_builds_do_not_write_into_one_folder(
    build: Callable[[Path], Path], first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def while_building(*_: object, **__: object) -> None:
        FileLock(tmp_path / "built/.lock").acquire(timeout=0)

    monkeypatch.setattr(first, while_building)
    with pytest.raises(Timeout):
        build(tmp_path / "built")


def test_what_sphinx_has_warned_of_fails_again_until_it_is_mended(tmp_path: Path) -> None:
    source, html = tmp_path / "source", tmp_path / "html"
    source.mkdir()
    (tmp_path / "conf.py").touch()
    (source / "index.rst").write_text("Title\n=====\n\n:ref:`nowhere`\n")
    for _ in range(2):
        with pytest.raises(DainetError):
            run_sphinx(tmp_path, source, html, tmp_path / "doctrees")
    (source / "index.rst").write_text("Title\n=====\n")
    run_sphinx(tmp_path, source, html, tmp_path / "doctrees")
    assert (html / "index.html").is_file()


def test_anchors_of_the_repository_are_anchors_of_the_book(book_site: Path) -> None:
    for name in ("protocol", "claims"):
        written = re.findall(r'<a id="([^"]+)"', (REPOSITORY / f"docs/{name}.md").read_text(encoding="utf-8"))
        assert written
        assert set(written) <= Page((book_site / f"docs/{name}.html").read_text(encoding="utf-8")).ids()


@pytest.mark.parametrize("name", ["docs/live", "teaching/README"])
def test_addresses_of_the_live_page_that_stand_as_code_are_links(book_site: Path, name: str) -> None:
    written = re.findall(r"`(live/index\.html#[^`]+)`", (REPOSITORY / f"{name}.md").read_text(encoding="utf-8"))
    assert written
    links = Page((book_site / f"{name}.html").read_text(encoding="utf-8")).targets()
    assert {f"../{address}" for address in written} <= set(links)


@pytest.mark.parametrize(
    ("markup", "problem"),
    [
        ('<a href="absent.html">x</a>', "no such file"),
        ('<a href="other.html#absent">x</a>', "no such id"),
        ('<a href="#absent">x</a>', "no such id"),
        ('<a href="../outside.html">x</a>', "not in the folder of the site"),
        ('<a href="file:///outside.html">x</a>', "not in the folder of the site"),
        ('<a href="folder/">x</a>', "no such file"),
        ('<img src="absent.png">', "no such file"),
        ('<img srcset="other.html 1x, https://example.org/a.png 2x">', "not in the folder of the site"),
        ('<script src="https://example.org/a.js"></script>', "not in the folder of the site"),
        ('<script src="//example.org/a.js"></script>', "not in the folder of the site"),
        ('<link rel="stylesheet" href="https://example.org/a.css">', "not in the folder of the site"),
        ('<link rel="preconnect" href="https://example.org">', "not in the folder of the site"),
        ("<style>a { background: url('https://example.org/a.png') }</style>", "not in the folder of the site"),
        ('<p style="background: url(absent.png)">', "no such file"),
        ('<svg><image href="https://example.org/a.png"/></svg>', "not in the folder of the site"),
    ],
)
def test_a_broken_site_is_noticed(tmp_path: Path, markup: str, problem: str) -> None:
    site = tmp_path / "site"
    (site / "folder").mkdir(parents=True)
    (tmp_path / "outside.html").touch()
    (site / "other.html").write_text('<h1 id="here">x</h1>', encoding="utf-8")
    good = '<a href="other.html#here">x</a><a href="https://example.org">x</a><img src="data:image/png;base64,AA==">'
    (site / "index.html").write_text(good, encoding="utf-8")
    assert faults(site) == []
    (site / "index.html").write_text(good + markup, encoding="utf-8")
    assert [fault.rpartition(": ")[2] for fault in faults(site)] == [problem]


@pytest.mark.parametrize(
    "rule", ["@import 'https://example.org/a.css';", "@font-face { src: url(https://example.org/a) }"]
)
def test_a_style_sheet_that_loads_from_elsewhere_is_noticed(tmp_path: Path, rule: str) -> None:
    (tmp_path / "style.css").write_text(rule, encoding="utf-8")
    assert len(faults(tmp_path)) == 1
