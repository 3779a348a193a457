"""Processes that want the same stage: one computes it, the others wait and take it."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dainet.cache.store import run_stage

SCRIPT = """
import logging, os, sys, time
from pathlib import Path
from dainet.cache.store import run_stage
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
def build(folder):
    with open(Path(sys.argv[1]) / "builders", "a") as log:
        log.write(f"{os.getpid()}\\n")
    for i in range(20):
        (folder / f"{i}.txt").write_text(str(os.getpid()))
        time.sleep(float(sys.argv[2]))
print(run_stage("stage", 1, {}, {}, build).key, flush=True)
"""


def start(folder, pause):
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), str(pause)], stdout=subprocess.PIPE, text=True)


def builders(folder):
    return (folder / "builders").read_text().split()


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "nothing happened for a minute"
        time.sleep(0.02)


def test_twenty_requests_at_once_leave_one_result(tmp_path, runs):
    processes = [start(tmp_path, 0.1) for _ in range(20)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 20
    assert len({output.split()[-1] for output in outputs}) == 1
    assert len(builders(tmp_path)) == 1
    (done,) = (runs / "stage").iterdir()
    assert {path.read_text() for path in done.glob("*.txt")} == set(builders(tmp_path))
    assert sum("waiting for it" in output for output in outputs) >= 1


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, runs):
    first = start(tmp_path, 60)
    wait_for(lambda: list(runs.glob("stage/*.partial/0.txt")))
    second = start(tmp_path, 0)
    assert "waiting for it" in second.stdout.readline()
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert second.wait(timeout=60) == 0
    (done,) = (runs / "stage").iterdir()
    assert {path.read_text() for path in done.glob("*.txt")} == {str(second.pid)}


def test_threads_of_one_process_share_too(runs):
    calls = []

    def build(folder):
        calls.append(folder)
        time.sleep(0.1)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: run_stage("stage", 1, {}, {}, build), range(8)))
    assert len(calls) == 1
    assert len(set(results)) == 1
