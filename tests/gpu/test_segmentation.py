"""Training, prediction and scores on a GPU against the CPU, and recorded against single steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from dainet.cuda_graphs import changed_by, recorded
from dainet.data.prepared import Prepared
from dainet.device import Device
from dainet.errors import DainetError, InputError
from dainet.segmentation import stage
from dainet.segmentation.catalog import build
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.outside_check import check_outside
from dainet.segmentation.slices import SliceData
from dainet.segmentation.training import mean_volume_dsc, train
from dainet.settings import AttentionSettings, SegmentationSettings, Settings, load_settings
from tests.helpers.training import narrow_baselines, train_until, trained_weights
from tests.segmentation.test_outside_check import network as network_code
from tests.segmentation.test_outside_check import written

OnDevice = Callable[[Device], SliceData]


@pytest.fixture
def on(data: SliceData, prepared: Prepared) -> OnDevice:
    """Slices with three maps on any device."""
    return lambda device: SliceData(prepared, data.attention, AttentionSettings(), device)


@pytest.fixture
def settings(tiny: Settings) -> SegmentationSettings:
    """Three epochs; 18 slices give two batches of 7 and a smaller one."""
    return tiny.segmentation.model_copy(update={"batch_size": 7, "lr": 0.01})


def trained(settings: SegmentationSettings, data: SliceData, folder: Path) -> tuple[dict[str, Tensor], pd.DataFrame]:
    folder.mkdir(exist_ok=True)
    train(network(data.device), settings, 0, data.prepared, data, folder)
    return trained_weights(folder), pd.read_csv(folder / "history.csv")


def network(device: Device) -> Any:
    torch.manual_seed(0)
    model: Any = build("dual-1111", heads=3, width=4)
    return model.to(device.torch_device, memory_format=device.memory_format)


def largest_difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    return max((first[name].float() - second[name].float()).abs().max().item() for name in first)


def test_a_training_in_float32_is_that_of_the_cpu(
    settings: SegmentationSettings, on: OnDevice, exact: Device, cpu: Device, tmp_path: Path
) -> None:
    """Rates so low that rounding cannot grow; Adam turns the signs of tiny gradients into whole steps."""
    low = settings.model_copy(update={"lr": 1e-5})
    (ours, ours_history), (theirs, history) = (
        trained(low, on(device), tmp_path / device.torch_device.type) for device in (exact, cpu)
    )
    assert largest_difference(ours, theirs) < 1e-4
    np.testing.assert_allclose(ours_history["loss"], history["loss"], rtol=1e-4)
    np.testing.assert_allclose(ours_history["lr"], history["lr"], rtol=1e-12)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_recorded_steps_are_single_steps(
    settings: SegmentationSettings, on: OnDevice, cuda: Device, exact: Device, tmp_path: Path, precision: str
) -> None:
    device = cuda if precision == "bfloat16" else exact
    recorded, history = trained(settings, on(device), tmp_path / "recorded")
    single, single_history = trained(settings, on(replace(device, records_steps=False)), tmp_path / "single")
    print("recorded against single steps:", precision, largest_difference(recorded, single))
    assert largest_difference(recorded, single) < (1e-2 if precision == "bfloat16" else 1e-3)
    np.testing.assert_allclose(history["loss"], single_history["loss"], rtol=1e-2 if precision == "bfloat16" else 1e-4)


def test_a_resumed_training_ends_like_an_undisturbed_one(
    settings: SegmentationSettings, on: OnDevice, cuda: Device, tmp_path: Path
) -> None:
    data, resumed = on(cuda), tmp_path / "resumed"
    straight, history = trained(settings, data, tmp_path / "straight")
    again, _ = trained(settings, data, tmp_path / "again")
    resumed.mkdir()
    train_until(2, settings, data.prepared, data, resumed, network(cuda))
    parts, parts_history = trained(settings, data, resumed)
    print("twice the same:", largest_difference(straight, again), "resumed:", largest_difference(straight, parts))
    assert largest_difference(straight, parts) < 1e-2
    np.testing.assert_allclose(parts_history["loss"], history["loss"], rtol=1e-2)


def test_a_state_goes_on_on_another_device(
    settings: SegmentationSettings, on: OnDevice, exact: Device, cpu: Device, tmp_path: Path
) -> None:
    low = settings.model_copy(update={"lr": 1e-5})
    straight, _ = trained(low, on(cpu), tmp_path / "straight")
    for first, second in ((exact, cpu), (cpu, exact)):
        folder = tmp_path / f"from {first.torch_device.type}"
        folder.mkdir()
        train_until(2, low, on(first).prepared, on(first), folder, network(first))
        assert largest_difference(straight, trained(low, on(second), folder)[0]) < 1e-4


def test_in_bfloat16_it_learns_as_on_the_cpu(
    settings: SegmentationSettings, on: OnDevice, cuda: Device, cpu: Device, tmp_path: Path
) -> None:
    longer = settings.model_copy(update={"epochs": 30, "patience": 30, "augment": False, "lr": 0.02})
    (_, ours), (_, theirs) = (
        trained(longer, on(device), tmp_path / device.torch_device.type) for device in (cuda, cpu)
    )
    assert ours["dsc"].max() == pytest.approx(theirs["dsc"].max(), abs=0.1)
    assert ours["loss"].iloc[-1] < 0.5 * ours["loss"].iloc[0]


def test_predictions_are_those_of_the_cpu(on: OnDevice, exact: Device, cpu: Device) -> None:
    rows = np.arange(20)
    ours, theirs = (on(device).predict(network(device), rows).cpu() for device in (exact, cpu))
    assert (ours == theirs).float().mean() > 0.999
    volumes = {"a": rows[:9], "b": rows[9:]}
    scores = [mean_volume_dsc(network(device), on(device), volumes) for device in (exact, cpu)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_compiled_training_is_that_of_single_steps(
    settings: SegmentationSettings, on: OnDevice, exact: Device, tmp_path: Path
) -> None:
    if not exact.compiles:
        pytest.skip("no compiler on this machine")
    compiled, history = trained(settings.model_copy(update={"compile": True}), on(exact), tmp_path / "compiled")
    single, single_history = trained(settings, on(replace(exact, records_steps=False)), tmp_path / "single")
    np.testing.assert_allclose(history["loss"], single_history["loss"], rtol=1e-3)
    assert largest_difference(compiled, single) < 1e-2


def test_exhausted_memory_is_one_line(tiny: Settings, on: OnDevice, cuda: Device, tmp_path: Path) -> None:
    wide = {"width": 128, "batch_size": 16}
    large = tiny.model_copy(update={"segmentation": tiny.segmentation.model_copy(update=wide)})
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.002)
    try:
        with pytest.raises(DainetError, match=r"width 128, batches of 16 .*GiB.*segmentation\.batch_size") as caught:
            stage.fit(large, "dual-1111", 0, on(cuda), tmp_path)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", narrow_baselines())
def test_recorded_steps_teach_a_competitor(cuda: Device, name: str) -> None:
    torch.manual_seed(0)
    model: Any = build(name, width=4, image_size=64).train()
    model.to("cuda", memory_format=cuda.memory_format)
    label = torch.zeros(4, 64, 64, dtype=torch.long, device="cuda")
    label[:, 16:48, 16:48] = 1
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, capturable=True)

    def step(image: Tensor) -> Tensor:
        with cuda.autocast():
            logits = model(image)
        loss = segmentation_loss(logits, label)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    fast, image = recorded(step, lambda: changed_by(model, optimizer)), (label == 1)[:, None].float()
    losses = [fast(image).item() for _ in range(30)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_a_network_from_outside_is_tried_on_the_card(tmp_path: Path) -> None:
    settings = load_settings("tour", {"device": "cuda", "segmentation.image_size": 32})
    check_outside(settings, written(tmp_path, network_code("return self.conv(image)")))
    name = written(tmp_path, network_code("return self.conv(image) + torch.ones(32)"))
    with pytest.raises(InputError, match="cuda"):
        check_outside(settings, name)
