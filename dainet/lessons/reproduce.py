"""Runs the notebooks in order with papermill and writes an index page of what they left."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import papermill
from jinja2 import Environment, PackageLoader
from papermill.exceptions import PapermillExecutionError

from dainet.cache.folders import repository_root
from dainet.cache.records import provenance
from dainet.reporting.artifacts import output_folder, public_settings
from dainet.settings import Settings, load_settings

__all__ = ["NotebookFailed", "find_notebooks", "reproduce", "write_index"]

log = logging.getLogger(__name__)


class NotebookFailed(RuntimeError):
    """A notebook stopped; the message names it, the cell and the error, and where the executed copy lies."""


def find_notebooks(numbers: Sequence[str] = ()) -> list[Path]:
    """The lessons in order, or those whose two-digit numbers are asked for.

    Raises:
        ValueError: a number fits no notebook.
    """
    found = {path.name[:2]: path for path in sorted((repository_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
    unknown = [number for number in numbers if number not in found]
    if unknown or not found:
        raise ValueError(
            f"no notebook {', '.join(unknown)}; found {', '.join(found) or 'none: run from the repository'}"
        )
    return [found[number] for number in (numbers or found)]


def reproduce(profile: str, overrides: Mapping[str, Any], notebooks: Sequence[Path]) -> Path:
    """Run notebooks headlessly with these settings; returns the index page.

    Settings and the parameters of every notebook are checked before the first one starts. The executed copies stay in
    the output folder, the failed one included. Finished stages are reused.

    Raises:
        ValueError: an unknown setting, or a notebook without the parameters PROFILE and OVERRIDES.
        NotebookFailed: a cell raised.
    """
    settings = load_settings(profile, overrides)
    parameters = {"PROFILE": profile, "OVERRIDES": dict(overrides)}
    for notebook in notebooks:
        _check_parameters(notebook, parameters)
    folder = output_folder(settings)
    (folder / "notebooks").mkdir(exist_ok=True)
    for notebook in notebooks:
        log.info("%s ...", notebook.name)
        _execute(notebook, folder / "notebooks" / notebook.name, parameters)
    return write_index(settings)


def write_index(settings: Settings) -> Path:
    """Write index.html: every figure and table of the output folder that has a provenance record, and the notebooks."""
    folder = output_folder(settings)
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    page = Environment(loader=PackageLoader("dainet.lessons", ""), autoescape=True).get_template("index.html")
    text = page.render(
        title=folder.name,
        figures=[name for name in records if (folder / f"{name}.png").is_file()],
        tables={name: _table(folder / f"{name}.md") for name in records if (folder / f"{name}.csv").is_file()},
        notebooks=[path.name for path in sorted((folder / "notebooks").glob("*.ipynb"))],
        settings=json.dumps(public_settings(settings), indent=1),
        provenance=json.dumps(provenance(), indent=1),
    )
    (folder / "index.html").write_text(text, encoding="utf-8")
    return folder / "index.html"


def _check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Papermill only warns of an unknown parameter and then runs for hours with the default."""
    known = set(papermill.inspect_notebook(str(notebook)))
    missing = sorted(set(parameters) - known)
    if missing:
        raise ValueError(f"{notebook.name} has no parameter {', '.join(missing)}; it knows {', '.join(sorted(known))}")


def _execute(notebook: Path, copy: Path, parameters: Mapping[str, Any]) -> None:
    try:
        papermill.execute_notebook(
            str(notebook),
            str(copy),
            dict(parameters),
            cwd=str(notebook.parent),
            progress_bar=False,
            log_output=False,
            extra_arguments=["--log-level=CRITICAL"],  # of the kernel: an interrupt would fill the screen
        )
    except PapermillExecutionError as error:
        raise NotebookFailed(
            f"{notebook.name} failed in cell {error.cell_index}: {error.ename}: {error.evalue} (executed copy: {copy})"
        ) from error


def _table(markdown: Path) -> dict[str, Any]:
    lines = markdown.read_text(encoding="utf-8").splitlines()
    table = pd.read_csv(markdown.with_suffix(".csv"), dtype=str, keep_default_na=False)
    notes = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    return {"html": table.to_html(index=False, escape=True, border=0), "notes": notes}
