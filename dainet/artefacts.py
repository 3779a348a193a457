"""Figures and tables on disk, each beside a record of what made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dainet.settings import Settings
from dainet.store import provenance, repository_root

__all__ = ["output_folder", "public_settings", "save_figure", "save_table"]


def output_folder(settings: Settings) -> Path:
    """Where figures and tables go: `settings.output`, else figures/[phantom-]<dataset>-<profile>."""
    data = ("phantom-" if settings.data.source == "phantom" else "") + settings.data.dataset
    folder = repository_root() / (settings.output or f"figures/{data}-{settings.profile}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def save_figure(figure: Figure, name: str, settings: Settings, stages: Mapping[str, str]) -> Path:
    """Write `name.png`, `name.pdf` and the record `name.json`; returns the PNG.

    Args:
        figure: what to save.
        name: file name without ending.
        settings: of the run.
        stages: names and keys of the finished stages that the figure shows.
    """
    path = output_folder(settings) / f"{name}.png"
    figure.savefig(path, dpi=120, bbox_inches="tight", metadata={"Software": None})
    figure.savefig(path.with_suffix(".pdf"), bbox_inches="tight", metadata={"CreationDate": None})
    _write_record(path, settings, stages)
    return path


def save_table(table: pd.DataFrame, name: str, settings: Settings, stages: Mapping[str, str], notes: list[str]) -> Path:
    """Write `name.csv`, `.md` and `.tex` with the notes beneath, and the record `name.json`; returns the Markdown.

    Args:
        table: as it should be printed; numbers already rounded.
        name: file name without ending.
        settings: of the run.
        stages: names and keys of the finished stages behind the numbers.
        notes: the protocol in words; a number without it means little.
    """
    path = output_folder(settings) / f"{name}.md"
    table.to_csv(path.with_suffix(".csv"), index=False)
    lines = [table.to_markdown(index=False, disable_numparse=True), "", *(f"- {note}" for note in notes)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    latex = table.style.hide(axis="index").to_latex(hrules=True, convert_css=True)
    comments = "".join(f"% {note}\n" for note in notes)
    path.with_suffix(".tex").write_text(comments + _escape_latex(latex), encoding="utf-8")
    _write_record(path, settings, stages)
    return path


def public_settings(settings: Settings) -> dict[str, Any]:
    """The settings as they may be published: files and folders by name, without the path to them."""
    values = settings.model_dump(mode="json", exclude={"output"})
    for section, name in (("data", "source"), ("data", "split"), ("vit", "weights")):
        values[section][name] = PureWindowsPath(values[section][name]).name  # splits at / and at \\
    return values


def _write_record(path: Path, settings: Settings, stages: Mapping[str, str]) -> None:
    record = {"file": path.stem, "settings": public_settings(settings), "stages": dict(stages)} | provenance()
    path.with_suffix(".json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _escape_latex(text: str) -> str:
    for character, command in {"±": r"$\pm$", "†": r"\dag{}", "%": r"\%"}.items():
        text = text.replace(character, command)
    return text
