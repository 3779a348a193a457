"""Figures and tables on disk, each with a record of what made it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dainet.cache.folders import explained_disk, repository_root, runs_folder
from dainet.cache.records import hash_file, write_record
from dainet.cache.references import remember_figures
from dainet.cache.runs import lineage
from dainet.settings import Settings

_OTHER = "another folder in the setting output"
_PATHS = (("data", "source"), ("data", "split"), ("vit", "weights"))
_DATA_TITLES = {"acdc": "ACDC", "synapse": "Synapse", "custom": "own data"}

__all__ = [
    "appearing",
    "data_title",
    "other_settings",
    "output_folder",
    "public_settings",
    "record_files",
    "save_csv",
    "save_figure",
    "save_table",
    "source_name",
]


def data_title(settings: Settings) -> str:
    """Return the title of a run's data: "ACDC", "Synapse phantoms", "own data"."""
    name = _DATA_TITLES[settings.data.dataset]
    return f"{name} phantoms" if settings.data.source == "phantom" else name


def source_name(settings: Settings) -> str:
    """Return the name of the folder with the scans, without its path; empty for phantoms."""
    source = settings.data.source
    return "" if source == "phantom" else " ".join(_name(os.path.abspath(source)).split())


def output_folder(settings: Settings) -> Path:
    """Create and return the folder for figures and tables.

    It is `settings.output`, or figures/phantom-<dataset>-<profile>, or figures/<dataset>-<source>-<profile> for scans.
    """
    dataset = settings.data.dataset
    data = f"phantom-{dataset}" if settings.data.source == "phantom" else f"{dataset}-{source_name(settings)}"
    folder = repository_root() / (settings.output or f"figures/{data}-{settings.profile}")
    with explained_disk(folder, _OTHER):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def save_figure(figure: Figure, name: str, settings: Settings, stages: Mapping[str, str]) -> Path:
    """Write `name.png`, `name.pdf` and the record `name.json`; return the path of the PNG.

    Args:
        figure: what to save; its label goes into the record as alternative text.
        name: file name without ending.
        settings: settings of the run.
        stages: names and keys of the finished stages that the figure shows.
    """
    with appearing(output_folder(settings)) as folder:
        files = [folder / f"{name}.png", folder / f"{name}.pdf"]
        figure.savefig(files[0], dpi=120, bbox_inches="tight", metadata={"Software": None})
        figure.savefig(files[1], bbox_inches="tight", metadata={"CreationDate": None})
        record_files(folder / f"{name}.json", files, settings, stages, str(figure.get_label()))
    return output_folder(settings) / f"{name}.png"


def save_table(table: pd.DataFrame, name: str, settings: Settings, stages: Mapping[str, str], notes: list[str]) -> Path:
    """Write `name.csv`, `.md` and `.tex` with the notes, and the record `name.json`; return the path of `name.md`.

    Args:
        table: as it should be printed; numbers already rounded.
        name: file name without ending.
        settings: settings of the run.
        stages: names and keys of the finished stages behind the numbers.
        notes: the protocol in words; a number without it means little. Collapsed DINO trainings are added.
    """
    notes = [*notes, *_collapsed(stages)]
    lines = [table.to_markdown(index=False, disable_numparse=True), "", *(f"- {note}" for note in notes)]
    latex = table.style.hide(axis="index").to_latex(hrules=True, convert_css=True)
    comments = "".join(f"% {note}\n" for note in notes)
    with appearing(output_folder(settings)) as folder:
        files = [folder / f"{name}.{ending}" for ending in ("csv", "md", "tex")]
        table.to_csv(files[0], index=False)
        files[1].write_text("\n".join(lines) + "\n", encoding="utf-8")
        files[2].write_text(comments + _escape_latex(latex), encoding="utf-8")
        record_files(folder / f"{name}.json", files, settings, stages)
    return output_folder(settings) / f"{name}.md"


def save_csv(table: pd.DataFrame, name: str, settings: Settings, stages: Mapping[str, str]) -> Path:
    """Write the numbers behind tables and figures as `name.csv`, and the record `name.json`; return the CSV's path."""
    with appearing(output_folder(settings)) as folder:
        table.to_csv(folder / f"{name}.csv", index=False)
        record_files(folder / f"{name}.json", [folder / f"{name}.csv"], settings, stages)
    return output_folder(settings) / f"{name}.csv"


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Give a hidden folder for files and their record, which appear in `folder` together at the end, or not at all."""
    with explained_disk(folder, _OTHER), TemporaryDirectory(prefix=".", dir=folder) as hidden:
        yield Path(hidden)
        for path in sorted(Path(hidden).iterdir()):
            os.replace(path, folder / path.name)


def record_files(
    record: Path, files: Iterable[Path], settings: Settings, stages: Mapping[str, str], alt: str = ""
) -> None:
    """Write the record of files in its folder: their hashes, settings, stages and data; `alt` describes a figure."""
    made_by = {"settings": public_settings(settings), "run": _run(settings), "stages": dict(stages)}
    content: dict[str, Any] = {"file": record.stem, **made_by}
    if alt:
        content["alt"] = alt
    content["data"] = sorted(
        {made["inputs"]["data"] for made in lineage(stages.values()).values() if "data" in made["inputs"]}
    )
    content["files"] = {file.name: hash_file(file) for file in files}
    write_record(record, content)
    if stages:
        remember_figures(output_folder(settings))


def public_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings as they may be published: files and folders by name, without their paths."""
    values = settings.model_dump(mode="json", exclude={"output"})
    for section, name in _PATHS:
        values[section][name] = _name(values[section][name])
    values["data"]["source"] = source_name(settings) or "phantom"
    return values


def other_settings(record: Mapping[str, Any], settings: Settings) -> str:
    """Say in which settings a record differs from these; empty where both are the same run.

    Files and folders are compared with their paths; where and on which device a run computes makes no other run.
    """
    if not isinstance(record.get("settings"), dict):
        return "its record cannot be read"
    now, then = _flat(public_settings(settings)), _flat(record["settings"])
    different = [name for name in sorted(now | then) if now.get(name) != then.get(name) and name != "device"]
    if different:
        return "; ".join(f"{name}: {then.get(name, 'none')}, here {now.get(name, 'none')}" for name in different)
    return "" if record.get("run", _run(settings)) == _run(settings) else "other files or folders of the same names"


def _run(settings: Settings) -> str:
    """Return a hash of all settings that make a run, with the paths that `public_settings` leaves out."""
    values = settings.model_dump(mode="json", exclude={"output", "device"})
    for section, name in _PATHS:
        if os.path.exists(values[section][name]):
            values[section][name] = os.path.realpath(values[section][name])
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _name(path: str) -> str:
    return PureWindowsPath(path).name  # splits at / and at \\


def _collapsed(stages: Mapping[str, str]) -> list[str]:
    """Return a sentence for each DINO training behind these stages whose output collapsed."""
    dino = [key for key, record in lineage(stages.values()).items() if record["stage"] == "dino"]
    verdicts = {key: json.loads((runs_folder() / "dino" / key / "training.json").read_text()) for key in dino}
    return [
        f"DINO {key}: after {verdict['epochs']} epochs its output was {verdict['collapse']}, so fine-tuning taught the "
        "maps little or nothing (notebook 02)."
        for key, verdict in verdicts.items()
        if verdict["collapse"] != "none"
    ]


def _escape_latex(text: str) -> str:
    for character, command in {"±": r"$\pm$", "†": r"\dag{}", "%": r"\%"}.items():
        text = text.replace(character, command)
    return text
