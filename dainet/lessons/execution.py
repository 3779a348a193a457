"""Execution of notebooks by papermill, one after the other or several at once."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from dainet.errors import DainetError
from dainet.lessons.links import relocated
from dainet.parallel.here import Here
from dainet.parallel.launch import end_with_parent
from dainet.reporting.artifacts import record_files
from dainet.settings import Settings

__all__ = ["NotebookError", "execute_all", "explained_death"]

log = logging.getLogger(__name__)


class NotebookError(DainetError):
    """A notebook stopped; the message names the notebook, the cell, the error and the executed copy."""


def execute_all(
    jobs: Mapping[Path, Mapping[str, Any]], folder: Path, settings: Settings, processes: int
) -> Iterator[Path]:
    """Execute notebooks in their order, so many at once; yield each when it has ended.

    Several at once share the cores. After an error, those that run are finished and no other begins.

    Args:
        jobs: notebook -> its parameters.
        folder: for the executed copies.
        settings: of the run, for the records.
        processes: how many at once.

    Raises:
        NotebookError: a cell raised, or a kernel died.
    """
    waiting, running = deque(jobs), dict[Future[None], Path]()
    with _executor(processes) as executor:
        while waiting or running:
            while waiting and len(running) < processes:
                notebook = waiting.popleft()
                log.info("%s ...", notebook.name)
                future = executor.submit(_execute, notebook, folder / notebook.name, settings, jobs[notebook])
                running[future] = notebook
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                notebook = running.pop(future)
                future.result()
                yield notebook


def _executor(processes: int) -> Executor:
    if processes == 1:
        return Here()
    threads = max(1, (os.cpu_count() or 1) // processes)
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (os.getpid(), threads))


def _begin(parent: int, threads: int) -> None:
    """Prepare a process that executes notebooks: its kernels use so many threads, unless the user has said how many."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    end_with_parent(parent)


@contextmanager
def explained_death(notebook: Path, copy: Path) -> Iterator[None]:
    """Turn the death of a notebook's kernel, within this context, into one line.

    Args:
        notebook: the notebook that runs.
        copy: where it is saved while it runs; says which cell was running, if it exists.

    Raises:
        NotebookError: the kernel died.
    """
    try:
        yield
    except DeadKernelError as error:
        cells = nbformat.read(copy, as_version=4).cells if copy.is_file() else []
        started = [number for number, cell in enumerate(cells) if cell.metadata.get("papermill", {}).get("start_time")]
        where = f" in cell {started[-1]}" if started else ""
        raise NotebookError(
            f"{notebook.name}: its kernel died{where}, mostly because memory ran out; close other programs, or lower "
            "dino.batch_size or segmentation.batch_size; then run the same command again: finished work is kept"
        ) from error


def _execute(notebook: Path, copy: Path, settings: Settings, parameters: Mapping[str, Any]) -> None:
    """Run a notebook; its copy, the failed or interrupted one too, appears together with its record when it ends."""
    running = copy.with_name(f".{copy.name}")
    nbformat.write(relocated(nbformat.read(notebook, as_version=4), notebook.parent, copy.parent), running)
    try:
        with explained_death(notebook, running):
            papermill.execute_notebook(
                str(running),
                str(running),
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
    finally:
        with running.open("a", encoding="utf-8") as handle:
            handle.write("\n")  # as JupyterLab ends a file: saved there, the copy still matches its record
        os.replace(running, copy)
        record_files(copy.with_suffix(".json"), [copy], settings, {})
