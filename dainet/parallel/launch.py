"""Starting several processes for one stage, as torchrun does, also from a notebook."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from dainet.cache.folders import runs_folder
from dainet.errors import DainetError
from dainet.settings import Settings

__all__ = ["ProcessesError", "end_with_parent", "run_task"]

log = logging.getLogger(__name__)
_FAILURE = "failure.json"


class ProcessesError(DainetError):
    """One of several processes failed and the others were stopped; the message says which and why."""


def run_task(task: str, settings: Settings, folder: Path, alone: Callable[[], None], **arguments: Any) -> None:
    """Do the work of a stage here, or in `settings.n_processes` processes that share one folder.

    Args:
        task: name in `dainet.jobs.worker.TASKS`.
        settings: the run's settings.
        folder: folder of the unfinished stage.
        alone: does the work where `n_processes` is 1.
        arguments: arguments of the task.

    Raises:
        ProcessesError: one of several processes failed.
    """
    if settings.n_processes == 1:
        alone()
    else:
        _start_processes(task, settings, folder, arguments)


def _start_processes(task: str, settings: Settings, folder: Path, arguments: Mapping[str, Any]) -> None:
    """Start the processes, which find the stages before this one finished, and wait for them.

    An agent of torchrun watches them in a process of its own, because it takes over the signals; when this process
    ends, all others end too.
    """
    with TemporaryDirectory() as place:
        job, count = Path(place) / "job.json", settings.n_processes
        content = {"task": task, "settings": settings.model_dump(mode="json"), "folder": str(folder.resolve())}
        threads = max(1, torch.get_num_threads() // count)
        job.write_text(json.dumps(content | {"arguments": dict(arguments), "threads": threads}), encoding="utf-8")
        log.info("%s: %d processes", task, count)
        command = [sys.executable, "-m", "dainet.parallel.launch", str(job), str(os.getpid())]
        status = _watch(command, Path(place) / "stderr.txt")
        if status:
            raise _explained(Path(place), task, status)


def end_with_parent(parent: int) -> None:
    """End this process within a second after its parent has ended, even if the parent was killed.

    Args:
        parent: number of the process that has started this one; asked for here, it could be that of an orphan already.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _watch(command: list[str], errors: Path) -> int:
    """Log what a command says, line by line, and return its exit status; an interrupt ends the command too."""
    environment = os.environ | {"DAINET_RUNS": str(runs_folder().resolve())}
    with (
        errors.open("w", encoding="utf-8") as handle,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=handle, text=True, env=environment, start_new_session=True
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                log.info("%s", line.rstrip())
        except BaseException:
            process.terminate()  # the agent passes the signal on
            raise
    return process.returncode


def _explained(place: Path, task: str, status: int) -> ProcessesError:
    """Return the error that the agent recorded, or that ended the agent; its note is the traceback of the process."""
    failure, errors = place / _FAILURE, (place / "stderr.txt").read_text(encoding="utf-8")
    last = (errors.splitlines() or [f"exit status {status}"])[-1]
    reason, traceback = json.loads(failure.read_text(encoding="utf-8")) if failure.is_file() else (last, errors)
    again = "start it again to resume after its last saved epoch"
    error = ProcessesError(f"{task}: {reason}; the others were stopped; {again}")
    error.add_note(traceback)
    return error


def _agent(job: Path, parent: int) -> None:
    """Start the workers and watch them; in a process of its own."""
    end_with_parent(parent)
    count = json.loads(job.read_text(encoding="utf-8"))["settings"]["n_processes"]
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=str(job.parent)),
        shutdown_timeout=5,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "dainet.jobs.worker", str(job), str(os.getpid()))
    except ChildFailedError as error:
        number, failure = _cause(error)
        reason, traceback = _said(failure)
        content = [f"process {number} of {count} ended: {reason}", traceback]
        (job.parent / _FAILURE).write_text(json.dumps(content), encoding="utf-8")
        sys.exit(1)


def _cause(error: ChildFailedError) -> tuple[int, ProcessFailure]:
    """Return number and failure of the process to blame: a killed one first, because the others fail without it."""
    killed = [item for item in error.failures.items() if item[1].exitcode == -signal.SIGKILL]
    return killed[0] if killed else error.get_first_failure()


def _said(failure: ProcessFailure) -> tuple[str, str]:
    """Return the error of a process and its traceback, which is empty for a killed process."""
    said: Any = failure.message
    return (said["message"], said["extraInfo"]["py_callstack"]) if isinstance(said, dict) else (said, "")


if __name__ == "__main__":
    _agent(Path(sys.argv[1]), int(sys.argv[2]))
