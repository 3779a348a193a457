"""Figures and tables on disk, each with a record of what made it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dainet.cache.folders import explained_disk, figures_folder, runs_folder
from dainet.cache.locks import named_lock
from dainet.cache.records import hash_file, provenance, read_record, versions, write_record
from dainet.cache.references import remember_figures
from dainet.cache.runs import lineage
from dainet.errors import InputError
from dainet.places import output_path
from dainet.reporting.run_identity import other_settings, public_settings, run_hash, source_name
from dainet.reporting.style import in_style, style_hash
from dainet.settings import Settings

_HIDDEN = ".appearing-"  # prefix of the folder in which files and their record are written
PAGE = "index"  # name of the page that shows all others, and of its record
_SPECIAL = re.compile(r"([|`$\\\[]|\*(?=\S)|<(?=[\w/!?])|(?<!\w)_|_(?!\w))")
_OTHER = "another folder in the setting output"
_DATA_TITLES = {"acdc": "ACDC", "synapse": "Synapse", "custom": "own data"}

__all__ = [
    "PAGE",
    "appearing",
    "data_title",
    "output_folder",
    "record_files",
    "save_csv",
    "save_figure",
    "save_page",
    "save_table",
]


def data_title(settings: Settings) -> str:
    """Return the title of a run's data: "ACDC", "Synapse phantoms", "own data"."""
    name = _DATA_TITLES[settings.data.dataset]
    return f"{name} phantoms" if settings.data.source == "phantom" else name


def output_folder(settings: Settings) -> Path:
    """Create and return the folder for figures and tables.

    It is `settings.output`, or phantom-<dataset>-<profile> in the folder of figures, for scans
    <dataset>-<source>-<profile>.
    """
    dataset = settings.data.dataset
    data = f"phantom-{dataset}" if settings.data.source == "phantom" else f"{dataset}-{source_name(settings)}"
    folder = figures_folder() / f"{data}-{settings.profile}"
    if settings.output:
        folder = output_path(settings.output)
    with explained_disk(folder, _OTHER):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@in_style
def save_figure(figure: Figure, name: str, settings: Settings, stages: Mapping[str, str]) -> Path:
    """Write `name.png`, `name.pdf` and the record `name.json`; return the path of the PNG.

    Args:
        figure: what to save; its label goes into the record as alternative text.
        name: file name without ending.
        settings: settings of the run.
        stages: names and keys of the finished stages that the figure shows.
    """
    with appearing(settings) as folder:
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
    lines = [_markdown(table), "", *(f"- {note}" for note in notes)]
    comments = "".join(f"% {note}\n" for note in notes)
    with appearing(settings) as folder:
        files = [folder / f"{name}.{ending}" for ending in ("csv", "md", "tex")]
        table.to_csv(files[0], index=False)
        files[1].write_text("\n".join(lines) + "\n", encoding="utf-8")
        files[2].write_text(comments + _latex(table), encoding="utf-8")
        record_files(folder / f"{name}.json", files, settings, stages)
    return output_folder(settings) / f"{name}.md"


def save_csv(table: pd.DataFrame, name: str, settings: Settings, stages: Mapping[str, str]) -> Path:
    """Write the numbers behind tables and figures as `name.csv`, and the record `name.json`; return the CSV's path."""
    with appearing(settings) as folder:
        table.to_csv(folder / f"{name}.csv", index=False)
        record_files(folder / f"{name}.json", [folder / f"{name}.csv"], settings, stages)
    return output_folder(settings) / f"{name}.csv"


def save_page(text: str, settings: Settings) -> Path:
    """Write the page that shows all others, `index.html`, and its record; return the path of the page."""
    with appearing(settings) as folder:
        page = folder / f"{PAGE}.html"
        page.write_text(text, encoding="utf-8")
        record_files(page.with_suffix(".json"), [page], settings, {})
    return output_folder(settings) / page.name


@contextmanager
def appearing(settings: Settings) -> Iterator[Path]:
    """Give a hidden folder for files and their record, which appear in the output folder together at the end, or not.

    An index page of other settings or versions leaves then: it would show these files as its own. One process writes
    at a time, so what a killed one left can be told and removed.
    """
    folder = output_folder(settings)
    with explained_disk(folder, _OTHER), named_lock(f"output-{folder.name}"):
        for left in folder.glob(f"{_HIDDEN}*"):
            shutil.rmtree(left)
        with TemporaryDirectory(prefix=_HIDDEN, dir=folder) as hidden:
            yield Path(hidden)
            _withdraw_page(folder, settings)
            for path in sorted(Path(hidden).iterdir()):
                os.replace(path, folder / path.name)


def record_files(
    record: Path, files: Iterable[Path], settings: Settings, stages: Mapping[str, str], alt: str = ""
) -> None:
    """Write the record of files in its folder: their hashes, settings, stages and data; `alt` describes a figure."""
    made_by = {"settings": public_settings(settings), "run": run_hash(settings), "stages": dict(stages)}
    content: dict[str, Any] = {"file": record.stem, **made_by}
    if alt:
        content |= {"alt": alt, "style": style_hash()}
    content["data"] = sorted(
        {made["inputs"]["data"] for made in lineage(stages.values()).values() if "data" in made["inputs"]}
    )
    content["files"] = {file.name: hash_file(file) for file in files}
    write_record(record, content)
    if stages:
        remember_figures(output_folder(settings))


def _withdraw_page(folder: Path, settings: Settings) -> None:
    record = folder / f"{PAGE}.json"
    try:
        content = read_record(record)
        made_here = not other_settings(content, settings) and versions(content) == versions(provenance())
    except InputError:  # no page yet, or a damaged record
        made_here = False
    if not made_here:
        for ending in ("html", "json"):
            (folder / f"{PAGE}.{ending}").unlink(missing_ok=True)


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


def _markdown(table: pd.DataFrame) -> str:
    """Return a table in Markdown, in which every name and text stands as it is, but for line breaks."""
    cells = table.map(lambda cell: _plain(cell) if isinstance(cell, str) else cell)
    names = [_plain(str(name)) for name in table]
    return str(cells.set_axis(names, axis=1).to_markdown(index=False, disable_numparse=True))


def _plain(text: str) -> str:
    """Escape what Markdown would read as more than text; underscores within words and a last star are not."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.splitlines()))


def _latex(table: pd.DataFrame) -> str:
    """Return a table in LaTeX, in which every name stands as it is."""
    style = table.style.format(escape="latex").format_index(escape="latex", axis=1).hide(axis="index")
    text = style.to_latex(hrules=True)
    for character, command in {"±": r"$\pm$", "†": r"\dag{}"}.items():
        text = text.replace(character, command)
    return text
