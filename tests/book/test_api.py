"""The reference: every public name of every room has an entry, and docstrings reach Sphinx as they are meant."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import dainet
from book.api import api_pages, module_names, room_pages
from book.constants import constant_entries, field_comments
from book.docstrings import prepare


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return api_pages()


def test_every_module_with_public_names_has_a_section_that_lists_them(pages: dict[str, str]) -> None:
    text = "\n".join(pages.values())
    for module in pkgutil.walk_packages(dainet.__path__, "dainet."):
        if module.name.endswith(".__main__"):
            continue
        found = importlib.import_module(module.name)
        section = re.search(rf"^## `{re.escape(module.name)}`\n(.*?)(?=^## |^# |\Z)", text, re.MULTILINE | re.DOTALL)
        listed = set(re.findall(r"[\w]+", section[1])) if section else set()
        assert set(getattr(found, "__all__", [])) <= listed, module.name


def test_what_one_imports_comes_first(pages: dict[str, str]) -> None:
    first, _ = pages["index.md"].split("## All rooms")
    assert set(re.findall(r"auto(?:function|class):: (\w+)", first)) == set(dainet.__all__)


def test_every_page_stands_in_the_list_with_its_idea(pages: dict[str, str]) -> None:
    for page, (_, idea, _) in room_pages().items():
        assert f"({page}.md) | {idea} |" in pages["index.md"]
        assert idea in pages[f"{page}.md"]


def test_a_name_is_described_where_it_is_defined(tmp_path: Path) -> None:
    settings = Path(dainet.__file__).parent / "settings"
    assert module_names(settings / "__init__.py")["Settings"] == "dainet.settings.groups"
    assert module_names(settings / "groups.py")["Settings"] == "dainet.settings.groups"


def test_a_constant_has_its_comment_and_a_short_value(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(f"# the first\n# of two\nA: int = 7  # lines\n\nB = {list(range(99))}\n")
    entries = constant_entries(module)
    assert entries["A"].split("\n") == [".. py:data:: A", "   :value: 7", "", "   the first of two lines", ""]
    assert ":value:" not in entries["B"]


def test_a_field_has_the_comment_above_it_and_beside_it(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "class A:\n    x: int = 0  # mm\n    # above\n    y: tuple = (  # beside\n        1,  # in\n    )\n    z = 1\n"
    )
    assert field_comments(module) == {"A": {"x": "mm", "y": "above beside"}}


def test_a_result_with_a_colon_stays_one_text_and_pages_are_links() -> None:
    docstring = "Count.\n\nReturns:\n    [N]: one number each (docs/protocol.md#5.15).\n\nRaises:\n    A: none."
    assert prepare(docstring).splitlines()[2:4] == [
        "Returns:",
        "    : [N]: one number each (`docs/protocol.md#5.15 <../docs/protocol.html#5.15>`__).",
    ]
    assert prepare(docstring).endswith("\n    A: none.")


def test_every_public_name_can_be_found_in_the_book(book_site: Path) -> None:
    names = {name for path in Path(dainet.__file__).parent.rglob("*.py") for name in module_names(path).items()}
    pages = "".join(path.read_text(encoding="utf-8") for path in (book_site / "api").glob("*.html"))
    ids = set(re.findall(r'id="(dainet\.[\w.]+)"', pages))
    assert "rounded down to a multiple of the patch" in pages  # the comment on vit.image_size
    assert {f"{home}.{name}" for name, home in names} <= ids | {f"dainet.{name}" for name in dainet.__all__}
