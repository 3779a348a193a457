"""A queue that runs the trainings whose scores are missing; any number of such processes may run at once."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from dainet.cache.records import read_record
from dainet.compare.one_training import Outcome, QueuedTraining, has_scores, run_training
from dainet.device import hardware, number_process
from dainet.errors import DainetError
from dainet.parallel.here import Here
from dainet.progress import progress, silence

__all__ = ["QueuedTraining", "run_queue"]

log = logging.getLogger(__name__)

_AFTER_FAILURE = (
    "the same command tries them again; until they have scores, a report reads neither their waves nor later ones"
)


def run_queue(
    trainings: Sequence[QueuedTraining],
    where: Mapping[str, Any],
    folder: Path,
    seconds: float | None = None,
    processes: int = 1,
    plan: Mapping[str, str] | None = None,
) -> int:
    """Run every training whose scores are not in `folder`; return how many ran here.

    Each leaves `scores/NAME.csv` (per test case), `histories/NAME.csv` (per epoch) and `records/NAME.json` (what made
    them); the scores are written last, in one step, so a file that exists is complete. A training that another process
    holds is left to that process.

    Args:
        trainings: in the order in which they are to run.
        where: data, weights and device, by dotted name.
        folder: where the scores of these trainings are kept.
        seconds: begin no training that would not end within this time, as long as the same model took on this hardware
            before, or as the longest one here did. The first one begins where neither is known.
        processes: how many trainings run at once, with one thread each if they are more than one; those on "cuda" are
            spread over the GPUs (see `dainet.device.number_process`).
        plan: name and sha256 of the plan, which go into every record and into the ledger of `dainet.compare.looks`.

    Raises:
        DainetError: trainings failed, with a non-finite loss twice or for want of memory; all others have run. Or a
            process was killed.
    """
    waiting = deque(each for each in trainings if not has_scores(each, folder))
    before, missing = len(trainings) - len(waiting), len(waiting)
    run = partial(run_training, where=where, folder=folder, plan=plan)
    count, failures = 0, list[str]()
    outcomes = _outcomes(waiting, run, folder, seconds, processes)
    for training, outcome in progress(outcomes, "trainings", before, missing):
        count += outcome.ran
        failures += [outcome.failure] if outcome.failure else []
        log.info("%s; %s", training.name, _left(trainings, folder, processes))
    if failures:
        ran = f"{count} trainings ran, {len(failures)} failed and have no scores"
        raise DainetError("; ".join([ran, *failures, _AFTER_FAILURE]))
    return count


def _outcomes(
    waiting: deque[QueuedTraining],
    run: Callable[[QueuedTraining], Outcome],
    folder: Path,
    seconds: float | None,
    processes: int,
) -> Iterator[tuple[QueuedTraining, Outcome]]:
    """Begin trainings in their order, as many at once as there are processes; yield each when it has ended."""
    begun, longest = time.monotonic(), 0.0
    running = dict[Future[Outcome], tuple[QueuedTraining, float]]()
    with _executor(processes) as executor:
        while waiting or running:
            while waiting and len(running) < processes:
                training, start = waiting.popleft(), time.monotonic()
                expected = _known_seconds(folder, processes).get(training.labels["model"], longest)
                if seconds is not None and start - begun + expected > seconds:
                    log.info("no time is left for %s", training.name)
                    waiting.clear()
                else:
                    log.info("%s ...", training.name)
                    running[executor.submit(run, training)] = training, start
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                training, start = running.pop(future)
                if future.result().ran:
                    longest = max(longest, time.monotonic() - start)
                yield training, future.result()


def _known_seconds(folder: Path, processes: int) -> dict[str, float]:
    """Return how long each model took at most, on this hardware and with the threads of so many processes."""
    here, known = hardware() | ({"threads": 1} if processes > 1 else {}), dict[str, float]()
    for record in map(read_record, sorted((folder / "records").glob("*.json"))):
        if here.items() <= record.items():
            known[record["model"]] = max(record["seconds"], known.get(record["model"], 0.0))
    return known


def _left(trainings: Sequence[QueuedTraining], folder: Path, processes: int) -> str:
    """Say how many trainings have run, and in how many hours the others will have, by the records."""
    known, missing = _known_seconds(folder, processes), [each for each in trainings if not has_scores(each, folder)]
    done = f"{len(trainings) - len(missing)} of {len(trainings)} trainings have run"
    if not missing or not known:
        return done
    mean = sum(known.values()) / len(known)  # for models that have not run yet
    hours = sum(known.get(each.labels["model"], mean) for each in missing) / processes / 3600
    left = f"{60 * hours:.1f} min" if hours < 1 else f"{hours:.1f} h"
    return f"{done}, about {left} left"


@contextmanager
def _executor(processes: int) -> Iterator[Executor]:
    """Give what runs trainings; processes end with this context, in the middle of a training if it is left early."""
    if processes == 1:
        yield Here()
        return
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # is read when a process starts
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, _begin, (os.getpid(), context.Value("i", 0))) as pool:
            try:
                yield pool
            except BaseException:
                for child in multiprocessing.active_children():
                    child.terminate()
                raise
    except BrokenProcessPool as error:
        raise DainetError(
            "a process of the queue was killed, perhaps for want of memory; the same command resumes: take fewer "
            "--processes"
        ) from error
    finally:
        if threads is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = threads


def _begin(queue: int, begun: Synchronized[int]) -> None:
    """Let this process of a queue say nothing but warnings; it ends with the queue, which gets the interrupts.

    `queue` is the number of its process, and `begun` counts the processes that it has started.
    """
    from dainet.parallel.launch import end_with_parent

    with begun.get_lock():
        number_process(begun.value)
        begun.value += 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(format="%(message)s")
    silence()
    end_with_parent(queue)
