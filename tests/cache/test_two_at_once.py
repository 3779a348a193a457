"""Processes that need the same stage: one computes it, and the others wait and read it."""

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from dainet.cache.store import run_stage


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def request(logs: Path, computes_until: Callable[[], object]) -> None:
    """Ask for the stage; the process that computes it writes its id into twenty files and waits for the condition."""

    def build(folder: Path) -> None:
        (logs / f"{os.getpid()}.builder").touch()
        for number in range(20):
            (folder / f"{number}.txt").write_text(str(os.getpid()))
        wait_for(computes_until)

    logging.basicConfig(level=logging.INFO, filename=logs / f"{os.getpid()}.log", force=True)
    run_stage("stage", 1, {}, {}, build)


def start(logs: Path, computes_until: Callable[[], object]) -> BaseProcess:
    """Send the request from a process of its own, forked so that nothing is imported again."""
    process = get_context("fork").Process(target=request, args=(logs, computes_until))
    process.start()
    return process


def waiting(logs: Path) -> int:
    """Count the processes that have logged that they wait for another one."""
    return sum("waiting" in log.read_text() for log in logs.glob("*.log"))


def authors(runs: Path) -> set[str]:
    """Return the process ids in the files of the only finished stage."""
    (done,) = (runs / "stage").iterdir()
    return {path.read_text() for path in done.glob("*.txt")}


def test_twenty_requests_at_once_leave_one_result(tmp_path: Path, runs: Path) -> None:
    processes = [start(tmp_path, lambda: waiting(tmp_path) == 19) for _ in range(20)]
    for process in processes:
        process.join(timeout=300)
    assert [process.exitcode for process in processes] == [0] * 20
    (builder,) = tmp_path.glob("*.builder")
    assert authors(runs) == {builder.stem}


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path, runs: Path) -> None:
    first = start(tmp_path, lambda: False)
    wait_for(lambda: list(runs.glob("stage/*.partial/19.txt")))
    second = start(tmp_path, lambda: True)
    wait_for(lambda: waiting(tmp_path) == 1)
    first.kill()
    first.join()
    second.join(timeout=300)
    assert second.exitcode == 0
    assert authors(runs) == {str(second.pid)}


def test_threads_of_one_process_share_too(runs: Path) -> None:
    calls = []

    def build(folder: Path) -> None:
        calls.append(folder)
        time.sleep(0.1)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: run_stage("stage", 1, {}, {}, build), range(8)))
    assert len(calls) == 1
    assert len(set(results)) == 1
