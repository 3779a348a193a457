"""docs/protocol.md as a contract: its rows, the settings that they name, and the places in the code that cite them."""

from __future__ import annotations

import re
from pkgutil import resolve_name

import pytest
import yaml

from dainet.segmentation.catalog import BASELINES
from dainet.settings import Settings, load_settings
from tests.helpers import REPOSITORY
from tests.helpers.documents import anchors

PAGE = REPOSITORY / "docs" / "protocol.md"
ROW = re.compile(r'^\| <a id="(5\.\d+)"></a>(.*) \|$', re.MULTILINE)
SETTING = re.compile(r"`(?P<name>\w+\.\w+)(?:=(?P<value>[^`]+))?`(?: \((?P<others>[^)]*)\))?")
CITATION = re.compile(r"docs/protocol\.md((?:,? ?#\d(?:\.\d+)?)+)")
CITING = ("dainet", "study", "benchmarks", "data_scripts", "teaching", "tests", "workflow")


def rows() -> dict[str, list[str]]:
    """Row of section 5 -> its cells: point, paper, peers, dainet, setting."""
    return {number: cells.split(" | ") for number, cells in ROW.findall(PAGE.read_text(encoding="utf-8"))}


def settings_named() -> list[tuple[str, str, str | None, list[str]]]:
    """Row, setting, its default if given, and the other values that the row names."""
    return [
        (row, found["name"], found["value"], re.findall(r"`([^`]+)`", found["others"] or ""))
        for row, cells in rows().items()
        for found in SETTING.finditer(cells[-1])
    ]


def test_every_row_has_five_cells_and_they_are_numbered_in_order() -> None:
    assert list(rows()) == [f"5.{number}" for number in range(1, len(rows()) + 1)]
    assert {row: len(cells) for row, cells in rows().items()} == dict.fromkeys(rows(), 5)


@pytest.mark.parametrize(("row", "name", "default", "others"), settings_named())
def test_every_setting_of_a_row_is_a_field_with_this_default_and_these_values(
    row: str, name: str, default: str | None, others: list[str]
) -> None:
    section, field = name.split(".")
    assert section in Settings.model_fields
    assert field in type(getattr(load_settings("paper"), section)).model_fields
    if default is not None:
        assert load_settings("paper", {name: yaml.safe_load(default)}) == load_settings("paper")
    for other in others:
        load_settings("paper", {name: yaml.safe_load(other)})


def test_a_row_without_a_setting_says_so() -> None:
    named = {row for row, *_ in settings_named()}
    assert {row for row, cells in rows().items() if cells[-1] == "-"} == set(rows()) - named


def test_every_citation_in_the_code_leads_to_an_anchor() -> None:
    known, cited = anchors(PAGE), dict[str, str]()
    for path in (path for folder in CITING for path in (REPOSITORY / folder).rglob("*") if path.suffix in (".py", "")):
        if path.is_file():
            for group in CITATION.findall(path.read_text(encoding="utf-8")):
                cited |= dict.fromkeys(re.findall(r"#([\d.]*\d)", group), path.name)
    assert len(cited) > 20
    assert not {number: name for number, name in cited.items() if number not in known}


def test_no_module_cites_the_protocol_in_another_form() -> None:
    for path in (REPOSITORY / "dainet").rglob("*.py"):
        assert "PROTOCOL" not in path.read_text(encoding="utf-8"), path.name


def test_the_row_on_the_schedule_names_the_peer_that_has_none() -> None:
    page = PAGE.read_text(encoding="utf-8")
    [names] = re.findall(r"^\| \| (TransUNet .*) \|$", page, re.MULTILINE)
    [cells] = re.findall(r"^\| schedule \| (.*) \|$", page, re.MULTILINE)
    pairs = zip(names.split(" | "), cells.split(" | "), strict=True)
    constant = [name.removeprefix("(Trans)") for name, cell in pairs if cell.startswith("constant")]
    assert constant == ["CASCADE"]
    assert constant[0] in rows()["5.1"][2]
    assert "as all peers" not in PAGE.with_name("reproduction.md").read_text(encoding="utf-8")


def test_the_row_on_the_baseline_names_the_competitor_of_that_source() -> None:
    made = resolve_name(f"dainet.segmentation.baselines.{BASELINES['unet-upsample'].partition(':')[0]}")
    assert "bigmb" in made.__doc__
    assert "bigmb" in rows()["5.25"][3]
    assert "`unet-upsample`" in rows()["5.25"][3]
