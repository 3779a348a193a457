"""The stage of DINO: what it trains on, resuming, and its key in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dainet.cache.store import StageResult
from dainet.data.prepared import Prepared, run_prepared
from dainet.device import choose_device
from dainet.dino import stage, training
from dainet.dino.stage import run_dino, training_rows
from dainet.dino.training import finetune, teacher_file
from dainet.protocol import Classes
from dainet.settings import Settings
from dainet.transfer.packing import find_states

pytestmark = pytest.mark.usefixtures("quick")
CPU = choose_device("cpu")
FILES = ("student.safetensors", "teacher.safetensors", "head.safetensors")


def test_stage_trains_once_on_training_slices_only(
    tiny: Settings, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = tiny.model_copy(update={"vit": tiny.vit.model_copy(update={"weights": weights})})
    prepared = run_prepared(tiny.data, tiny.vit.image_size)
    seen: list[np.ndarray] = []

    def watched(*args: Any) -> None:
        seen.append(args[2][args[3]])
        finetune(*args)

    monkeypatch.setattr(stage, "finetune", watched)
    result = run_dino(tiny, prepared, CPU)
    assert run_dino(tiny, prepared, CPU) == result
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], prepared.images[prepared.cases["split"] == "train"])
    assert {path.name for path in result.path.iterdir()} >= {*FILES, "history.csv", "training.json", "provenance.json"}


def test_the_stage_resumes_after_the_last_finished_epoch(
    tiny: Settings, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny.model_copy(update={"dino": tiny.dino.model_copy(update={"epochs": 2})})
    begun, train_epoch = [], training._train_epoch

    def stopped_once_in_the_second(*args: Any) -> dict[str, float]:
        begun.append(args[-1])
        if begun == [0, 1]:
            raise KeyboardInterrupt
        return train_epoch(*args)

    monkeypatch.setattr(training, "_train_epoch", stopped_once_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        run_dino(settings, prepared, CPU)
    run_dino(settings, prepared, CPU)
    assert begun == [0, 1, 1]


def test_teachers_that_are_kept_outlast_an_interrupt(
    tiny: Settings, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    dino = tiny.dino.model_copy(update={"epochs": 3, "keep_every": 1})
    settings, train_epoch = tiny.model_copy(update={"dino": dino}), training._train_epoch

    def stopped_in_the_third(*args: Any) -> dict[str, float]:
        if args[-1] == 2:
            raise KeyboardInterrupt
        return train_epoch(*args)

    monkeypatch.setattr(training, "_train_epoch", stopped_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_dino(settings, prepared, CPU)
    monkeypatch.setattr(training, "_train_epoch", train_epoch)
    kept = {path.name for name, path in find_states().items() if "teacher" in name}
    assert kept == {teacher_file(epoch) for epoch in (1, 2)}, "a pack carries them, too"
    result = run_dino(settings, prepared, CPU)
    assert {path.name for path in result.path.glob("teacher-*")} == {teacher_file(epoch) for epoch in (1, 2, 3)}


def test_precision_and_processes_are_in_the_key_where_they_count(
    tiny: Settings, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[dict[str, Any]] = []
    monkeypatch.setattr(stage, "run_stage", lambda name, version, values, *rest, **more: keys.append(values))
    for epochs, processes in ((0, 2), (1, 1), (1, 2), (1, 3)):
        dino = tiny.dino.model_copy(update={"epochs": epochs})
        run_dino(tiny.model_copy(update={"dino": dino, "n_processes": processes}), prepared, CPU)
    found = [(values.get("precision"), values.get("n_processes")) for values in keys]
    assert found == [(None, None), (CPU.precision, None), (CPU.precision, 2), (CPU.precision, 3)]


def test_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    cases = pd.DataFrame({"patient": ["patient001", "patient001", "patient002"], "split": ["train", "test", "test"]})
    images, labels = np.zeros((3, 16, 16), np.float16), np.zeros((3, 16, 16))
    prepared = Prepared(StageResult("prepared", "key", tmp_path), images, labels, cases, Classes((), ()), {})
    with pytest.raises(ValueError, match=r"patient001.*train"):
        training_rows(prepared)
