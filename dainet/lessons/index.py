"""The index page of a run: its figures, tables and executed notebooks under titles that people read."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from dainet.cache.records import provenance, read_record, versions
from dainet.csv_files import read_csv
from dainet.errors import InputError
from dainet.reporting.artifacts import PAGE, data_title, output_folder, save_page
from dainet.reporting.pages import render_page
from dainet.reporting.run_identity import other_settings, public_settings, source_name
from dainet.settings import Settings

__all__ = ["write_index"]


def write_index(settings: Settings) -> Path:
    """Write index.html and its record: every figure, table and notebook in the output folder that these settings made.

    What other settings have left there is listed by name only, with the difference. Titles and captions come from
    captions.toml; what is not listed there follows at the end, titled by its file name.
    """
    folder = output_folder(settings)
    records, others = _sorted_by_settings(folder, settings)
    captions = tomllib.loads(files(__package__).joinpath("captions.toml").read_text(encoding="utf-8"))
    names = [*(name for name in captions if name in records), *(name for name in records if name not in captions)]
    notebooks, other_notebooks = _sorted_by_settings(folder / "notebooks", settings)
    differing = _differing([*records.values(), *notebooks.values()])
    items = [_described(name, captions.get(name, {}), settings, records[name], differing) for name in names]
    tables = [item | _table(folder / item["name"]) for item in items if _has(folder, item, "md")]
    counts = Counter(note for table in tables for note in table["notes"])
    text = render_page(
        "dainet.lessons",
        "index.html",
        title=", ".join(filter(None, (data_title(settings), source_name(settings), f"profile {settings.profile}"))),
        settings=settings,
        figures=[item for item in items if _has(folder, item, "png")],
        tables=tables,
        numbers=[item for item in items if _has(folder, item, "csv") and not _has(folder, item, "md")],
        shared_notes=[note for note, count in counts.items() if count > 1],
        notebooks={f"{name}.ipynb": _named(record, differing) for name, record in notebooks.items()},
        others=others | {f"notebooks/{name}": why for name, why in other_notebooks.items()},
        differing=differing,
        data_states=len({item["data"] for item in items if item["data"]}),
        details={"Settings": public_settings(settings), "Versions and machine": provenance()},
    )
    return save_page(text, settings)


def _sorted_by_settings(folder: Path, settings: Settings) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the records in a folder that these settings made, by name, and the difference of all others."""
    own, others = {}, {}
    for path in sorted(set(folder.glob("*.json")) - {folder / f"{PAGE}.json"}):
        try:
            record = read_record(path)
        except InputError:
            record = {}
        if why := other_settings(record, settings):
            others[path.stem] = why
        else:
            own[path.stem] = record
    return own, others


def _differing(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name what has not the same version in all records and here, where the page is written."""
    now = versions(provenance())
    return [name for name in now if any(versions(record).get(name) != now[name] for record in records)]


def _named(record: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return the versions of these names in a record, such as "python 3.11.7, torch 2.13.0"."""
    return ", ".join(f"{name} {versions(record).get(name, 'unknown')}" for name in names)


def _described(
    name: str, caption: Mapping[str, str], settings: Settings, record: Mapping[str, Any], differing: Iterable[str]
) -> dict[str, Any]:
    title = caption.get("title", name.replace("_", " ").capitalize()).replace("{data}", data_title(settings))
    return {
        "name": name,
        "title": title,
        "text": caption.get("text", ""),
        "lesson": caption.get("lesson", ""),
        "alt": record.get("alt") or title,
        "code": str(record.get("git", "")),
        "versions": _named(record, differing),
        "data": ", ".join(str(digest)[:8] for digest in record.get("data", ())),
    }


def _has(folder: Path, item: Mapping[str, Any], ending: str) -> bool:
    return (folder / f"{item['name']}.{ending}").is_file()


def _table(path: Path) -> dict[str, Any]:
    """Read header, rows and notes of a table that `save_table` wrote; `path` has no ending."""
    table = read_csv(Path(f"{path}.csv"))
    lines = Path(f"{path}.md").read_text(encoding="utf-8").splitlines()
    return {
        "header": list(table.columns),
        "rows": table.to_numpy().tolist(),
        "notes": [line.removeprefix("- ") for line in lines if line.startswith("- ")],
    }
