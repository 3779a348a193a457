"""Headless runs of the notebooks, in order, with papermill."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import papermill
from papermill.exceptions import PapermillExecutionError

from dainet.cache.folders import repository_root
from dainet.errors import DainetError, InputError, unknown
from dainet.lessons.index import write_index
from dainet.reporting.artifacts import output_folder
from dainet.settings import load_settings

__all__ = ["NotebookError", "find_notebooks", "reproduce"]

log = logging.getLogger(__name__)


class NotebookError(DainetError):
    """A notebook stopped; the message names the notebook, the cell, the error and the executed copy."""


def find_notebooks(numbers: Sequence[str] = ()) -> list[Path]:
    """Find the lessons in order, or only those with the given two-digit numbers.

    Raises:
        InputError: no notebook has such a number.
    """
    found = {path.name[:2]: path for path in sorted((repository_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
    if not found:
        raise InputError(f"{repository_root()} has no notebooks/; run this in a copy of the repository")
    for number in numbers:
        if number not in found:
            raise unknown("notebook", number, found)
    return [found[number] for number in (numbers or found)]


def reproduce(profile: str, overrides: Mapping[str, Any], notebooks: Sequence[Path]) -> Path:
    """Run notebooks headlessly with these settings; returns the index page.

    Settings and the parameters of every notebook are checked before the first one starts. The executed copies stay in
    the output folder, the failed one included. Finished stages are reused.

    Raises:
        InputError: an unknown setting, or a notebook without the parameters PROFILE and OVERRIDES.
        NotebookError: a cell raised.
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


def _check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse an unknown parameter; papermill only warns and then runs for hours with the default."""
    known = set(papermill.inspect_notebook(str(notebook)))
    missing = sorted(set(parameters) - known)
    if missing:
        raise unknown(f"{notebook.name}: parameter", missing[0], sorted(known))


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
        raise NotebookError(
            f"{notebook.name} failed in cell {error.cell_index}: {error.ename}: {error.evalue} (executed copy: {copy})"
        ) from error
