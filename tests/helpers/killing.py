"""Kill a reproduction at random moments until it is done, and compare its results with an undisturbed one.

`python -m tests.helpers.killing --profile tour --kills 50` does it at a profile's real size, the test in miniature.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from dainet import pipeline
from dainet.cache.folders import runs_folder
from dainet.reporting.artifacts import save_csv, save_table
from dainet.reporting.tables import policies
from dainet.settings import Settings, load_settings

NETWORKS = ("unet", "single", "dual-1111")


def reproduce(settings: Settings, networks: tuple[str, ...] = NETWORKS) -> None:
    """All stages, and the table of their scores."""
    trained = [pipeline.train(settings, name, seed=0) for name in networks]
    scores = pipeline.scores(trained)
    save_csv(scores, "scores_per_case", settings, {})
    save_table(policies(scores), "table", settings, {}, ["killed and resumed"])


def fingerprint(*folders: Path) -> dict[str, str]:
    """SHA-256 of every file but the records, which hold the code state and so may change between two runs."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".locks" not in path.parts and path.suffix != ".json" and path.suffix != ".new"
    }


def killed_after(work: Callable[[], None], seconds: float) -> bool:
    """Start the work in a process of its own and kill it after so many seconds; False where it was done before."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0, "the resumed run failed"
            return False
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def survive(work: Callable[[], None], kills: int, longest: float, seed: int) -> Counter[str]:
    """Kill the work at random moments, start it again, and let it end after so many kills; where they hit, by stage.

    A run that ends before the last kill starts again from nothing, so that the number of kills is reached.
    """
    moments, hit, begun = random.Random(seed), Counter[str](), runs_folder()
    while sum(hit.values()) < kills:
        if killed_after(work, moments.uniform(0, longest)):
            hit[_stage_in_the_making(begun)] += 1
        else:
            shutil.rmtree(begun, ignore_errors=True)
    while killed_after(work, 3600):
        pass
    return hit


def _stage_in_the_making(runs: Path) -> str:
    partial = sorted(runs.glob("*/*.partial"), key=lambda path: path.stat().st_mtime)
    return partial[-1].parent.name if partial else "between stages"


def main() -> None:
    """The same at a profile's real size, with the numbers printed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--profile", default="tour")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--source", default="phantom", help="phantoms are made in one go: make them before")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = load_settings(arguments.profile, {"data.source": arguments.source, "device": "cpu"})
    prints, duration = {}, 0.0
    for name, kills in (("undisturbed", 0), ("killed", arguments.kills)):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["DAINET_RUNS"] = f"{folder}/runs"
            own = settings.model_copy(update={"output": f"{folder}/out"})
            begun = time.monotonic()
            hit = survive(partial(reproduce, own), kills, duration / 10, seed=0)
            duration = time.monotonic() - begun
            prints[name] = fingerprint(Path(folder) / "runs", Path(folder) / "out")
    different = [name for name in prints["undisturbed"] if prints["undisturbed"][name] != prints["killed"].get(name)]
    print(f"{arguments.kills} kills: {dict(hit)}; {len(prints['undisturbed'])} files compared, different: {different}")


if __name__ == "__main__":
    main()
