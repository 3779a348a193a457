"""Execution of the notebooks in place, normalized so that they read well without running and diffs stay small."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from dainet.cache.runs import find_runs
from dainet.device import choose_device, hardware
from dainet.lessons.execution import NotebookError, explained_death
from dainet.lessons.first_cell import public_address, with_first_cell
from dainet.places import repository_root

__all__ = ["normalized", "regenerate"]

_WIDGET = "application/vnd.jupyter.widget-view+json"


def regenerate(path: Path) -> None:
    """Execute a notebook in place and normalize it, so that it reads well without running and diffs stay small.

    Its first cell is written from the present address of the kit.

    Raises:
        NotebookError: a cell raised, or the kernel died; the notebook stays as it was.
    """
    notebook = with_first_cell(nbformat.read(path, as_version=4), public_address(repository_root()))
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=1200, kernel_name="python3", resources=resources)
    try:
        with explained_death(path, path):
            client.execute()
    except CellExecutionError as error:
        raise NotebookError(f"{path.name} failed: {error.ename}: {error.evalue}") from error
    notebook = normalized(notebook)
    notebook.metadata["dainet"] = _made_by()
    nbformat.write(notebook, path)


def _made_by() -> dict[str, Any]:
    """Return what the outputs depend on: machine and keys of stages, which stand for settings, code and data."""
    made = {"stages": {run.key: run.stage for run in find_runs() if run.complete}, **hardware()}
    return made | {"precision": choose_device().precision}


def normalized(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what changes without meaning (cell ids, timings, widget state), join prints and shrink images.

    Alternative texts of images stay, and so does the picture that stands for a widget where no kernel runs. Metadata
    are those that JupyterLab writes: saved there, a notebook stays as it is; under another Python its version changes.
    """
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    language = notebook.metadata.get("language_info", {"name": "python"})
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": language})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in ("tags",) if key in cell.metadata})
        if cell.cell_type == "code":
            cell.outputs = _tidy(cell.outputs)
    return notebook


def _tidy(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    tidy: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and tidy and tidy[-1].get("name") == output.name:
            tidy[-1].text += output.text
            continue
        if _WIDGET in output.get("data", {}):
            if not output.data.get("text/plain"):  # the output before it says what is missing
                continue
            still = {kind: data for kind, data in output.data.items() if kind == "image/png"}
            output.data = nbformat.from_dict({"text/plain": "(interactive: run this cell to see it)"} | still)
        if "metadata" in output:
            output.metadata = nbformat.from_dict(_alternative_text(output.metadata))
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = _small_png(output.data["image/png"])
        tidy.append(output)
    for output in tidy:
        if "text" in output:
            output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text).replace("\r\n", "\n")  # overwritten lines
    return tidy


def _alternative_text(metadata: Mapping[str, Any]) -> dict[str, Any]:
    alt = metadata.get("image/png", {}).get("alt")
    return {"image/png": {"alt": alt}} if alt else {}


def _small_png(encoded: str) -> str:
    """Reduce a picture to 128 colors, chosen so that rare colors, such as those of thin outlines, stay."""
    picture, buffer = Image.open(BytesIO(b64decode(encoded))), BytesIO()
    picture.convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE).save(buffer, "PNG", optimize=True)
    return b64encode(buffer.getvalue()).decode()
