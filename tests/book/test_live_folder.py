"""The folder of the live page: everything in it and nothing from elsewhere."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode
from html import escape
from pathlib import Path

import pytest

from book.live import folder
from dainet.explorer.card import TRIES

RUNTIME = b"export const nothing = 0;"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a runtime of one line, so that neither a network nor the 33 MB of the package are needed."""
    folder_of_package = tmp_path_factory.mktemp("package")
    (folder_of_package / "dist").mkdir()
    for file in folder.RUNTIME_FILES.values():
        (folder_of_package / "dist" / file).write_bytes(RUNTIME)
    return folder_of_package


@pytest.fixture(scope="module")
def live(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(package, tmp_path_factory.mktemp("site") / "live")


def test_each_script_of_data_hands_over_the_bytes_of_its_file(live: Path) -> None:
    slices = json.loads((folder.MODELS.parent / "slices.json").read_text(encoding="utf-8"))
    names = {f"{organ}-{name}" for organ, facts in slices.items() for name in {*facts["networks"], "vit"}}
    assert {path.stem for path in (live / "data").iterdir()} == {*names, "slices", "runtime", "wasm"}
    for name in names:
        assert handed_over(live, name) == gzip.decompress((folder.MODELS / f"{name}.onnx.gz").read_bytes())
    assert json.loads(handed_over(live, "slices")) == slices
    assert handed_over(live, "wasm") == RUNTIME


def test_a_page_that_is_built_again_is_equal_to_the_byte_and_holds_nothing_old(package: Path, live: Path) -> None:
    before = {path: path.read_bytes() for path in live.rglob("*") if path.is_file()}
    (live / "data" / "old.js").write_text("old")
    build(package, live)
    assert {path: path.read_bytes() for path in live.rglob("*") if path.is_file()} == before


def test_the_page_names_its_own_files_only_and_may_ask_for_no_others(live: Path) -> None:
    page = (live / "index.html").read_text(encoding="utf-8")
    names = re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="([^"]*)"', page)
    assert all((live / name).is_file() for name in names if name != "data:,")
    policy = dict(part.split(" ", 1) for part in re.search('Policy" content="([^"]*)"', page)[1].split("; "))
    assert policy["default-src"] == "'none'"
    assert not any("http" in part or "*" in part for part in policy.values())
    for path in [*live.glob("*.js"), *live.glob("*.css"), live / "index.html"]:
        assert not re.search("https?://", path.read_text(encoding="utf-8")), path.name


def test_questions_are_those_of_the_explorer_that_the_page_can_answer(live: Path) -> None:
    page = (live / "index.html").read_text(encoding="utf-8")
    settings = re.findall(r'<li data-heads="(\d+)" data-skips="(\d+)" data-mode="(\w+)" data-instead="(\w+)">', page)
    assert len(settings) == len(set(settings)) == 6
    assert ("111111", "0111", "cut", "zero") in settings
    assert ("111111", "0000", "trained", "zero") in settings
    assert ("011111", "1111", "cut", "mean") in settings
    assert sum(escape(item.question) in page for item in TRIES) == 6


def test_switches_lie_on_the_lines_of_the_drawing_and_the_first_is_the_deepest(live: Path) -> None:
    facts = json.loads((live / "facts.js").read_text().removeprefix("Live.facts = ").rstrip(";\n"))
    page = (live / "index.html").read_text(encoding="utf-8")
    heights = [float(y) for y in re.findall(r'<line class="on switched"[^>]* y1="([\d.]+)"', page)]
    total = float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', page)[1])
    for _, top, row in facts["switches"]:
        assert top == pytest.approx(100 * heights[row] / total)
    assert [row for _, _, row in facts["switches"]] == [3, 2, 1, 0]


def build(package: Path, output: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "fetch", lambda name: package)
        folder.build_live(output)
    return output


def handed_over(live: Path, name: str) -> bytes:
    text = (live / "data" / f"{name}.js").read_text(encoding="ascii")
    found = re.fullmatch(rf'Live\.data\.arrived\("{name}", "([\w+/=]*)"\);\n', text)
    assert found, name
    return gzip.decompress(b64decode(found[1]))
