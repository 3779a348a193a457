"""The index page of a run, as a browser's parser sees it."""

import tomllib
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import nbformat
import pytest

from dainet.lessons.index import write_index
from dainet.lessons.reproduce import find_notebooks
from dainet.protocol import CLASSES, published_table
from dainet.reporting.artifacts import save_figure, save_table
from dainet.reporting.charts import new_figure
from dainet.reporting.tables import compare
from dainet.settings import load_settings
from tests.helpers.samples import scores

SHARED, OWN = "a note on both tables", "a note on one table"


class Page(HTMLParser):
    """Tags with their attributes, and the texts of headings and list items, in the order of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self._open, data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def read(self, *tags: str) -> list[str]:
        return [text for tag, text in self.texts if tag in tags]


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    settings = load_settings("tour")
    table = compare(published_table("acdc", "table2"), scores(), CLASSES["acdc"].names, "strict", phantoms=True)
    save_table(table, "table2", settings, {}, [SHARED, OWN])
    save_table(table, "table_heads", settings, {}, [SHARED])
    save_figure(new_figure(1, 1, "six maps of a slice"), "figure1_attention", settings, {})
    save_figure(new_figure(1, 1), "data_sheet", settings, {})
    save_figure(new_figure(1, 1), "of_somebody_else", settings, {})
    return write_index(settings).read_text(encoding="utf-8")


def test_figures_come_before_tables_under_titles_in_the_order_of_the_lessons(text: str) -> None:
    headings = Page(text).read("h2", "h3")
    titles = ["Figures", "The data at a glance", "Figure 1: attention maps of the heads", "Of somebody else", "Tables"]
    assert headings[:5] == titles
    assert "Table 2: ACDC phantoms, test patients" in headings


def test_every_image_has_alternative_text(text: str) -> None:
    alts = {image["src"]: image["alt"] for image in Page(text).all("img")}
    assert alts["./figure1_attention.png"] == "six maps of a slice"
    assert all(alts.values())
    assert len(alts) == 3


def test_the_contents_lead_to_every_figure_and_table(text: str) -> None:
    page = Page(text)
    anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    linked = {link["href"].removeprefix("#") for link in page.all("a") if link["href"].startswith("#")}
    assert linked <= anchors
    assert {"figure1_attention", "data_sheet", "of_somebody_else", "table2", "table_heads"} <= linked


def test_phantoms_stand_next_to_the_paper_without_a_difference(text: str) -> None:
    page = Page(text)
    assert "Difference" not in page.read("th")
    assert {"paper (patients)", "here (phantoms)"} <= set(page.read("td"))
    assert "Phantoms, not patients." in page.read("strong")


def test_a_note_on_several_tables_is_printed_once(text: str) -> None:
    assert text.count(SHARED) == 1
    assert text.count(OWN) == 1


def test_the_page_fits_a_phone_and_a_dark_room(text: str) -> None:
    page = Page(text)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert "prefers-color-scheme: dark" in text
    scrolling = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
    assert len(scrolling) == len(page.all("table")) == 2


def test_whatever_the_lessons_save_has_a_title() -> None:
    captions = tomllib.loads(files("dainet.lessons").joinpath("captions.toml").read_text(encoding="utf-8"))
    for path in find_notebooks():
        cells = nbformat.read(path, as_version=4).cells
        saving = [
            line for cell in cells for line in cell.source.splitlines() if "save_" in line and '", settings' in line
        ]
        for name in (line.split('", settings')[0].rsplit('"', 1)[1] for line in saving):
            assert captions[name]["lesson"] == path.name[:2], name
