"""How far an unfinished stage is, from what a living or a killed process has left."""

from pathlib import Path

import pytest

from dainet.cache.resume import save_state
from dainet.cache.store import RECORD, StageMissingError, finished_only, run_stage
from dainet.cache.unfinished import Unfinished, unfinished


def train(epochs: int, stop: int, seen: list[Unfinished] | None = None) -> Path:
    """Run a stage of some epochs that is interrupted after `stop` of them; return its folder when it is done."""

    def build(folder: Path) -> None:
        done = folder.with_suffix("")
        for epoch in range(stop):
            save_state({}, folder, epoch + 1)
            if seen is not None:
                seen.append(unfinished(done))
        if stop < epochs:
            raise KeyboardInterrupt

    try:
        return run_stage("training", 1, {"epochs": epochs}, {}, build, resumes=True).path
    except KeyboardInterrupt:
        with finished_only(), pytest.raises(StageMissingError) as missing:
            run_stage("training", 1, {"epochs": epochs}, {}, build, resumes=True)
        return missing.value.done


def test_every_epoch_of_a_running_and_of_a_stopped_training_counts() -> None:
    seen: list[Unfinished] = []
    done = train(epochs=5, stop=3, seen=seen)
    assert seen == [Unfinished(True, epoch, 5) for epoch in (1, 2, 3)]
    assert unfinished(done) == Unfinished(False, 3, 5)
    assert done == train(epochs=5, stop=5)


def test_what_nobody_has_begun_or_left_unreadable_has_no_epochs(runs: Path) -> None:
    assert unfinished(runs / "training" / "0123456789abcdef") == Unfinished(False, 0, 0)
    done = train(epochs=5, stop=1)
    (done.with_name(f"{done.name}.partial") / RECORD).write_text("{")
    assert unfinished(done) == Unfinished(False, 1, 0)
