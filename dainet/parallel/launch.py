"""Several processes for one stage, as torchrun starts them; also from a notebook."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from dainet.cache.folders import runs_folder
from dainet.settings import Settings

__all__ = ["ProcessesFailed", "end_with_parent", "start_processes"]

log = logging.getLogger(__name__)
_FAILURE = "failure.txt"


class ProcessesFailed(RuntimeError):
    """One of several processes failed and the others were stopped; the message says which and why."""


def start_processes(task: str, settings: Settings, folder: Path, **arguments: Any) -> None:
    """Run a task of `dainet.worker` in `settings.n_processes` processes that share one folder, and wait for them.

    They find the stages before it finished. An agent of torchrun's watches them in a process of its own, because it
    takes over the signals; when this process ends, all others end too.

    Args:
        task: name in `dainet.worker.TASKS`.
        settings: the run's settings.
        folder: of the stage in the making.
        arguments: of the task.

    Raises:
        ProcessesFailed: one of them failed.
    """
    with TemporaryDirectory() as place:
        job, count = Path(place) / "job.json", settings.n_processes
        content = {"task": task, "settings": settings.model_dump(mode="json"), "folder": str(folder.resolve())}
        threads = max(1, torch.get_num_threads() // count)
        job.write_text(json.dumps(content | {"arguments": arguments, "threads": threads}), encoding="utf-8")
        log.info("%s: %d processes", task, count)
        status = _watch([sys.executable, "-m", "dainet.parallel.launch", str(job)], Path(place) / "stderr.txt")
        if status:
            raise ProcessesFailed(_explanation(Path(place), task, status))


def end_with_parent() -> None:
    """End this process within a second after its parent has ended, even where that was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _watch(command: list[str], errors: Path) -> int:
    """Log what a command says, line by line, and return its exit status; an interrupt ends it too."""
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
            process.terminate()  # the agent passes it on
            raise
    return process.returncode


def _explanation(place: Path, task: str, status: int) -> str:
    failure = place / _FAILURE
    errors = (place / "stderr.txt").read_text(encoding="utf-8").splitlines() or [f"exit status {status}"]
    reason = failure.read_text(encoding="utf-8") if failure.is_file() else errors[-1]
    again = "run the same again; a training goes on after its last finished epoch"
    return f"{task}: {reason}; the others were stopped; {again}"


def _agent(job: Path) -> None:
    """Start the workers and watch them; in a process of its own."""
    end_with_parent()
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
        elastic_launch(config, sys.executable)("-m", "dainet.worker", str(job))
    except ChildFailedError as error:
        number, failure = _cause(error)
        text = f"process {number} of {count} ended: {_reason(failure)}"
        (job.parent / _FAILURE).write_text(text, encoding="utf-8")
        sys.exit(1)


def _cause(error: ChildFailedError) -> tuple[int, ProcessFailure]:
    """A killed process comes first: the others then fail because they miss it."""
    killed = [item for item in error.failures.items() if item[1].exitcode == -signal.SIGKILL]
    return killed[0] if killed else error.get_first_failure()


def _reason(failure: ProcessFailure) -> str:
    said: Any = failure.message
    return said["message"] if isinstance(said, dict) else said


if __name__ == "__main__":
    _agent(Path(sys.argv[1]))
