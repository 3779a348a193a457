"""Damaged files of every kind that the kit reads: each one works, or is refused by the kit's own error.

`python -m tests.helpers.fuzzing --count 2000` damages 2,000 files and prints what happened to each kind. The same kind
and seed always give the same damage. Every file is read in a child process: after 10 seconds the system ends it, and
memory is limited to 2 GiB more than it has at the start.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import torch

from dainet.data.volume import DataError
from tests.helpers.fuzz_damage import damaged
from tests.helpers.fuzz_kinds import KINDS, Kind, own_message

SECONDS = 10
GIBIBYTE = 1 << 30


class Outcome(NamedTuple):
    """What became of one damaged file; a finding is neither an answer nor the kit's own error."""

    kind: str
    seed: int
    refusals: Sequence[str]
    finding: str
    seconds: float
    peak_bytes: int


def run(jobs: Sequence[tuple[str, int]]) -> Iterator[Outcome]:
    """Read a damaged file for each kind and seed, in a child process that is replaced when it dies."""
    context, done = multiprocessing.get_context("fork"), 0
    while done < len(jobs):
        mine, theirs = context.Pipe(duplex=False)
        with tempfile.TemporaryDirectory() as folder:
            child = context.Process(target=work, args=(jobs[done:], Path(folder), theirs))
            child.start()
            theirs.close()
            alive = True
            while alive and done < len(jobs):
                alive = bool(answer := receive(mine, child))
                yield answer or Outcome(*jobs[done], (), f"the process died: {death(child)}", SECONDS, 0)
                done += 1
            child.join()


def receive(answers: Connection, child: BaseProcess) -> Outcome | None:
    """The next outcome, or None where the child died of it."""
    if not answers.poll(3 * SECONDS):
        child.kill()  # stuck where its own alarm was not set
    try:
        return answers.recv()
    except EOFError:
        child.join()
        return None


def death(child: BaseProcess) -> str:
    return "no end" if child.exitcode == -signal.SIGALRM else f"exit code {child.exitcode}"


def work(jobs: Sequence[tuple[str, int]], folder: Path, answers: Connection) -> None:
    """The child: one kind after the other, each in a folder of its own."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # NumPy's and nibabel's, about what is refused
    limit_memory()
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())  # progress bars, nibabel's log
    for name, group in groupby(jobs, key=lambda job: job[0]):
        data = folder / name / "data"
        data.mkdir(parents=True)
        files = {path: path.read_bytes() for path in KINDS[name].write(data)}
        for _, seed in group:
            answers.send(outcome(KINDS[name], seed, data, files))


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2 * GIBIBYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def outcome(kind: Kind, seed: int, folder: Path, files: dict[Path, bytes]) -> Outcome:
    path = list(files)[seed % len(files)]
    path.write_bytes(damaged(files[path], path.suffix, seed))
    refusals, finding, start = list[str](), "", time.monotonic()
    signal.alarm(SECONDS)
    try:
        refusals = [own_message(DataError(problem), path.name) for problem in kind.read(folder, path)]
    except Exception as error:
        try:
            refusals = [own_message(error, path.name)]
        except Exception:
            finding = describe(error)
    signal.alarm(0)
    path.write_bytes(files[path])
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Outcome(kind.name, seed, refusals, finding, time.monotonic() - start, peak)


def describe(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)
    kit = [f"{Path(frame.filename).name}:{frame.name}" for frame in where if "dainet" in Path(frame.filename).parts]
    return f"{type(error).__name__} in {kit[-1] if kit else 'the library'}: {str(error)[:300]!r}"


def table(outcomes: Sequence[Outcome]) -> str:
    """A line per kind, and one for all."""
    lines = [
        "| kind | tried | worked | refused | findings | slowest, s | peak memory, MB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    groups = {name: [one for one in outcomes if one.kind == name] for name in KINDS} | {"all": list(outcomes)}
    for name, group in groups.items():
        findings, refused = sum(bool(one.finding) for one in group), sum(bool(one.refusals) for one in group)
        slowest, peak = max(one.seconds for one in group), max(one.peak_bytes for one in group) / 1e6
        counts = f"{len(group)} | {len(group) - findings - refused} | {refused} | {findings}"
        lines.append(f"| {name} | {counts} | {slowest:.2f} | {peak:.0f} |")
    return "\n".join(lines)


def plan(count: int, kinds: Sequence[str] = tuple(KINDS), first_seed: int = 0) -> list[tuple[str, int]]:
    """About `count` damaged files, evenly over the kinds."""
    shares = [count // len(kinds) + (i < count % len(kinds)) for i in range(len(kinds))]
    return [(kind, first_seed + i) for kind, share in zip(kinds, shares, strict=True) for i in range(share)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="damaged files, evenly over the kinds")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seed", type=int, default=0, help="of the first file of every kind")
    options = parser.parse_args()
    outcomes = list(run(plan(options.count, options.kinds, options.seed)))
    for one in outcomes:
        if one.finding:
            print(f"{one.kind}, seed {one.seed}: {one.finding}")
    print(table(outcomes))
    sys.exit(any(one.finding for one in outcomes))


if __name__ == "__main__":
    main()
