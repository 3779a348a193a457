"""Figures and tables on disk, each with a record of what made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dainet.cache.folders import explained_disk, repository_root, runs_folder
from dainet.cache.records import hash_file, write_record
from dainet.cache.runs import lineage
from dainet.settings import Settings

_ENDINGS = (".png", ".pdf", ".csv", ".md", ".tex")
_OTHER = "another folder in the setting output"

_DATA_TITLES = {"acdc": "ACDC", "synapse": "Synapse", "custom": "own data"}

__all__ = ["data_title", "output_folder", "public_settings", "save_figure", "save_table"]


def data_title(settings: Settings) -> str:
    """Return the title of a run's data: "ACDC", "Synapse phantoms", "own data"."""
    name = _DATA_TITLES[settings.data.dataset]
    return f"{name} phantoms" if settings.data.source == "phantom" else name


def output_folder(settings: Settings) -> Path:
    """Create and return `settings.output`, or figures/[phantom-]<dataset>-<profile>, for figures and tables."""
    data = ("phantom-" if settings.data.source == "phantom" else "") + settings.data.dataset
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
    path = output_folder(settings) / f"{name}.png"
    with explained_disk(path.parent, _OTHER):
        figure.savefig(path, dpi=120, bbox_inches="tight", metadata={"Software": None})
        figure.savefig(path.with_suffix(".pdf"), bbox_inches="tight", metadata={"CreationDate": None})
        _write_record(path, settings, stages, str(figure.get_label()))
    return path


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
    path = output_folder(settings) / f"{name}.md"
    lines = [table.to_markdown(index=False, disable_numparse=True), "", *(f"- {note}" for note in notes)]
    latex = table.style.hide(axis="index").to_latex(hrules=True, convert_css=True)
    comments = "".join(f"% {note}\n" for note in notes)
    with explained_disk(path.parent, _OTHER):
        table.to_csv(path.with_suffix(".csv"), index=False)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        path.with_suffix(".tex").write_text(comments + _escape_latex(latex), encoding="utf-8")
        _write_record(path, settings, stages)
    return path


def public_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings as they may be published: files and folders by name, without their paths."""
    values = settings.model_dump(mode="json", exclude={"output"})
    for section, name in (("data", "source"), ("data", "split"), ("vit", "weights")):
        values[section][name] = PureWindowsPath(values[section][name]).name  # splits at / and at \\
    return values


def _write_record(path: Path, settings: Settings, stages: Mapping[str, str], alt: str = "") -> None:
    written = [path.with_suffix(ending) for ending in _ENDINGS if path.with_suffix(ending).is_file()]
    record = {"file": path.stem, "settings": public_settings(settings), "stages": dict(stages)}
    if alt:
        record["alt"] = alt
    record["data"] = sorted(
        {made["inputs"]["data"] for made in lineage(stages.values()).values() if "data" in made["inputs"]}
    )
    record["files"] = {file.name: hash_file(file) for file in written}
    write_record(path.with_suffix(".json"), record)


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
