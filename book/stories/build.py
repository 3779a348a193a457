"""The stories written: as SVG with a record for texts and slides, and as pages with buttons for the book."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from book.stories.cut_skip import cut_skip
from book.stories.our_patient import our_patient
from book.stories.seeds import seeds, simulation_values
from book.stories.softmax_row import softmax_row
from book.stories.svg import Story, story_svg
from dainet.cache.records import hash_file, write_record
from dainet.inference.bundle import shipped_bundles

__all__ = ["build_stories", "stories", "write_pictures"]


@cache
def stories() -> tuple[Story, ...]:
    """Return the three stories in the order of the lessons."""
    patient = our_patient()
    return softmax_row(patient), cut_skip(patient), seeds()


def write_pictures(output: Path) -> None:
    """Write `NAME.svg` and its record `NAME.json` for each story."""
    output.mkdir(parents=True, exist_ok=True)
    for story in stories():
        file = output / f"{story.name}.svg"
        file.write_text(story_svg(story), encoding="utf-8")
        made_of = simulation_values() if story.name == "seeds" else {"bundle": hash_file(shipped_bundles()["tour"])}
        record = {"file": story.name, "alt": story.alt, "made_of": made_of, "files": {file.name: hash_file(file)}}
        write_record(output / f"{story.name}.json", record)


def build_stories(output: Path) -> None:
    """Write `stories/NAME.html` for each story: one page with buttons, without a link to anything outside."""
    folder = output / "stories"
    folder.mkdir(parents=True, exist_ok=True)
    pages = Environment(loader=PackageLoader("book.stories", ""), autoescape=True, undefined=StrictUndefined)
    page = pages.get_template("story.html")
    for story in stories():
        values = json.dumps(simulation_values()) if story.name == "seeds" else ""
        html = page.render(story=story, picture=story_svg(story), simulation=values)
        (folder / f"{story.name}.html").write_text(html, encoding="utf-8")
