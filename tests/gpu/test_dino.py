"""DINO and the extraction of maps on a GPU against the CPU, and recorded against single steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from dainet.attention.stage import extract
from dainet.device import Device
from dainet.dino import network
from dainet.dino.training import finetune
from dainet.settings import DinoSettings, Settings
from dainet.vit.model import load_vit

DINO = DinoSettings(
    epochs=3,
    batch_size=4,
    lr=1e-3,
    warmup_epochs=1,
    drop_path=0.0,
    out_dim=64,
    global_size=32,
    local_crops=2,
    local_size=16,
    warmup_teacher_temperature=0.06,
    warmup_teacher_temperature_epochs=2,
)
IMAGES = np.random.default_rng(0).random((13, 48, 48)).astype(np.float16)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_HIDDEN", 32)


def history(device: Device, folder: Path, settings: DinoSettings = DINO) -> pd.DataFrame:
    folder.mkdir(exist_ok=True)
    finetune(settings, "tour", IMAGES, np.arange(13), device, folder)
    assert (folder / "teacher.safetensors").is_file()
    return pd.read_csv(folder / "history.csv")


def test_fine_tuning_in_float32_is_that_of_the_cpu(exact: Device, cpu: Device, tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(history(exact, tmp_path / "a"), history(cpu, tmp_path / "b"), rtol=1e-3)


@pytest.mark.parametrize("drop_path", [0.0, 0.3])
def test_recorded_steps_are_single_steps(cuda: Device, tmp_path: Path, drop_path: float) -> None:
    """The last layer is frozen in the first epoch and the temperature changes: one graph serves all."""
    settings = DINO.model_copy(update={"drop_path": drop_path})
    recorded = history(cuda, tmp_path / "a", settings)
    single = history(replace(cuda, records_steps=False), tmp_path / "b", settings)
    pd.testing.assert_frame_equal(recorded, single, rtol=2e-2)
    one, two = (load_file(tmp_path / name / "student.safetensors") for name in "ab")
    print("DINO, recorded against single steps:", max((one[name] - two[name]).abs().max().item() for name in one))


def test_a_state_goes_on(cuda: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight, calls = history(cuda, tmp_path / "a"), []
    report = "dainet.dino.training._report"

    def stop(*_: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(report, stop)
        with pytest.raises(KeyboardInterrupt):
            history(cuda, tmp_path / "b")
    pd.testing.assert_frame_equal(history(cuda, tmp_path / "b"), straight, rtol=2e-2)


def test_maps_are_those_of_the_cpu(tiny: Settings, exact: Device, cpu: Device, cuda: Device, tmp_path: Path) -> None:
    vit, settings = load_vit("tour"), tiny
    for name, device in (("gpu", exact), ("cpu", cpu), ("bfloat16", replace(cuda, vit_batch=5))):
        (tmp_path / name).mkdir()
        extract(settings, IMAGES, vit, device, tmp_path / name)
    gpu, expected, half = (np.load(tmp_path / name / "attention-0.npy") for name in ("gpu", "cpu", "bfloat16"))
    np.testing.assert_allclose(gpu, expected, atol=1e-4)
    np.testing.assert_allclose(half, expected, atol=2e-2)
    assert len(half) == len(IMAGES)


def test_the_memory_of_the_gpu_is_given_back(cuda: Device, tmp_path: Path) -> None:
    history(cuda, tmp_path / "a")
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    history(cuda, tmp_path / "b")
    torch.cuda.empty_cache()
    assert torch.cuda.memory_allocated() < before + 2**20
