"""The index page of a run: its figures, tables and executed notebooks under titles that people read."""

from __future__ import annotations

import csv
import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from dainet.cache.records import provenance
from dainet.reporting.artifacts import data_title, output_folder, public_settings
from dainet.settings import Settings

__all__ = ["write_index"]


def write_index(settings: Settings) -> Path:
    """Write index.html: every figure and table of the output folder that has a provenance record, and the notebooks.

    Titles and captions come from captions.toml; what is not listed there follows at the end, titled by its file name.
    """
    folder = output_folder(settings)
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    captions = tomllib.loads(files(__package__).joinpath("captions.toml").read_text(encoding="utf-8"))
    names = [*(name for name in captions if name in records), *(name for name in records if name not in captions)]
    items = [_described(name, captions.get(name, {}), data_title(settings)) for name in names]
    tables = [item | _table(folder / item["name"]) for item in items if (folder / f"{item['name']}.csv").is_file()]
    counts = Counter(note for table in tables for note in table["notes"])
    text = _page().render(
        title=f"{data_title(settings)}, profile {settings.profile}",
        settings=settings,
        figures=[
            item | {"alt": records[item["name"]].get("alt") or item["title"]}
            for item in items
            if (folder / f"{item['name']}.png").is_file()
        ],
        tables=tables,
        shared_notes=[note for note, count in counts.items() if count > 1],
        notebooks=[path.name for path in sorted((folder / "notebooks").glob("*.ipynb"))],
        details={"Settings": public_settings(settings), "Versions and machine": provenance()},
    )
    (folder / "index.html").write_text(text, encoding="utf-8")
    return folder / "index.html"


def _page() -> Any:
    environment = Environment(loader=PackageLoader("dainet.lessons", ""), autoescape=True)
    return environment.get_template("index.html")


def _described(name: str, caption: Mapping[str, str], data: str) -> dict[str, Any]:
    title = caption.get("title", name.replace("_", " ").capitalize()).replace("{data}", data)
    return {"name": name, "title": title, "text": caption.get("text", ""), "lesson": caption.get("lesson", "")}


def _table(path: Path) -> dict[str, Any]:
    """Read header, rows and notes of a table that `save_table` wrote; `path` has no ending."""
    with Path(f"{path}.csv").open(encoding="utf-8", newline="") as handle:
        header, *rows = csv.reader(handle)
    lines = Path(f"{path}.md").read_text(encoding="utf-8").splitlines()
    return {
        "header": header,
        "rows": rows,
        "notes": [line.removeprefix("- ") for line in lines if line.startswith("- ")],
    }
