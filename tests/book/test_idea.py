"""The picture of the landing page: what it shows, and that it is the recorded one."""

from __future__ import annotations

import re
import runpy
import sys
from base64 import b64decode
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from book.idea import ALT, draw_idea
from dainet.cache.records import hash_file, read_record
from tests.helpers import REPOSITORY

PICTURE = REPOSITORY / "figures" / "idea.svg"
SVG = "{http://www.w3.org/2000/svg}"


def shape(svg: str) -> str:
    """The drawing without its pictures, whose pixels come from a network."""
    return re.sub(r"base64,[^\"]+", "", svg)


def test_it_shows_a_slice_six_maps_and_a_prediction_inside_its_frame() -> None:
    root = ElementTree.parse(PICTURE).getroot()
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    images = list(root.iter(f"{SVG}image"))
    assert len(images) == 1 + 6 + 1
    for image in images:
        x, y, wide, high = (float(image.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
    pixels = [Image.open(BytesIO(b64decode(image.attrib["href"].partition(",")[2]))) for image in images]
    assert {picture.size for picture in pixels} == {(64, 64)}
    assert len({picture.convert("RGB").tobytes() for picture in pixels}) == 8, "two of them are the same"


def test_nothing_in_it_is_loaded_from_elsewhere() -> None:
    text = PICTURE.read_text()
    assert {target.partition(":")[0] for target in re.findall(r'(?:href|src)="([^"]*)', text)} == {"data"}
    assert set(re.findall(r"url\(([^)]+)\)|@import", text)) == {"#arrow"}


def test_its_record_names_it_and_the_words_that_pages_give_for_it() -> None:
    record = read_record(PICTURE.with_suffix(".json"))
    assert record["files"] == {"idea.svg": hash_file(PICTURE)}
    assert record["alt"] == ALT
    assert f"![{ALT}](figures/idea.svg)" in (REPOSITORY / "book" / "index.md").read_text()


def test_drawn_again_it_is_the_same_drawing() -> None:
    random = np.random.default_rng(0)
    drawn = draw_idea(random.random((64, 64)), random.random((6, 64, 64)), random.random((64, 64, 3)))
    assert shape(drawn) == shape(PICTURE.read_text())


@pytest.mark.parametrize("module", ["book.idea", "book.stories"])
def test_help_draws_nothing(module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("pathlib.Path.write_text", lambda path, *_, **__: pytest.fail(f"{path} is written"))
    monkeypatch.setattr("sys.argv", [module, "--help"])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module(module, run_name="__main__")
    assert stopped.value.code == 0
    assert "Draw" in capsys.readouterr().out
