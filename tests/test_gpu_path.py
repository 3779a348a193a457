"""Forward passes that a GPU would refuse, and code that makes the CPU wait for a GPU, found without a GPU.

Tensors on "cuda" have a shape here but no data: one on the wrong device raises as it does on a GPU. Backward passes
need a real GPU, because torch's autograd refuses CUDA tensors where there is none.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.overrides import TorchFunctionMode

from dainet.attention.maps import network_maps, token_maps
from dainet.cache.store import StageResult
from dainet.data.prepared import Prepared
from dainet.device import Device, choose_device, device_settings
from dainet.dino import formulas
from dainet.dino.step import TrainingState, starting_state, train_step
from dainet.dino.training import view_maker
from dainet.dino.views import draw_views
from dainet.protocol import Classes
from dainet.segmentation.augment import random_transforms
from dainet.segmentation.catalog import build
from dainet.segmentation.cuts import CutNetwork
from dainet.segmentation.evaluation import volume_dsc
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.slices import SliceData
from dainet.segmentation.step import adam, augmented_batch, train_epoch, training_step
from dainet.settings import AttentionSettings, DinoSettings, SegmentationSettings
from dainet.vit.model import input_size, load_vit, set_fused_attention, to_vit_input
from tests.helpers.training import narrow_baselines

CPU, CUDA = choose_device("cpu"), device_settings(torch.device("cuda"), native_bf16=True)
DINO = DinoSettings(batch_size=4, epochs=1, warmup_epochs=0, out_dim=64, global_size=32, local_crops=2, local_size=16)
READS = ("item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__")


class GpuRules(TorchFunctionMode):
    """Refuses a generator of another device, as CUDA does, and lists in `waits` when the processor waits for the GPU.

    It waits for a number it reads, for a copy to the CPU, and for a copy from it that is not `non_blocking`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, getattr(function, "__name__", "")
        if name in READS:
            self.waits.append("number")
        result = function(*args, **kwargs)
        if kwargs.get("generator") is not None and result.is_cuda:
            raise RuntimeError(f"{name}: a generator on the {kwargs['generator'].device} for {result.device}")
        if name in ("to", "cpu", "cuda"):
            if args[0].is_cuda and not result.is_cuda:
                self.waits.append("copy from the GPU")
            elif result.is_cuda and not args[0].is_cuda and not kwargs.get("non_blocking"):
                self.waits.append("copy to the GPU")
        return result


@contextmanager
def pretended_gpu() -> Iterator[GpuRules]:
    """Inside, tensors have no data, and those of a GPU that does not exist can be made and computed with.

    torch is told to send nothing there; CUDA's mixed precision, which wants a GPU, is told that there is one.
    """
    with (
        patch.object(FakeTensorMode, "avoid_device_init", True),
        patch("torch.cuda.amp.common.amp_definitely_not_available", return_value=False),
        patch("torch.cuda.is_bf16_supported", return_value=True),
        patch.object(torch.Tensor, "pin_memory", lambda tensor: tensor),
        FakeTensorMode(allow_non_fake_inputs=True),
        GpuRules() as rules,
    ):
        yield rules


@pytest.fixture
def slices(tmp_path: Path) -> Callable[[Device], SliceData]:
    """Ten slices of 32 px in two volumes, with three maps each, on the device asked for."""
    random = np.random.default_rng(0)
    images = random.random((10, 32, 32)).astype(np.float16)
    labels = random.integers(0, 4, images.shape).astype(np.uint8)
    classes = Classes(("RV", "Myo", "LV"), ("#f00", "#0f0", "#00f"))
    np.save(tmp_path / "attention.npy", random.random((10, 3, 4, 4)).astype(np.float16))
    (tmp_path / "attention.json").write_text('{"heads": 3, "grid": [4, 4], "patch": 8, "vit_size_px": 32}')
    prepared = Prepared(StageResult("prepared", "", tmp_path), images, labels, pd.DataFrame(), classes, {})
    maps = StageResult("attention", "", tmp_path)
    return lambda device: SliceData(prepared, maps, AttentionSettings(), device)


def network(name: str, data: SliceData) -> Any:
    """A narrow network, made with data, and moved as `dainet.segmentation.training` moves it."""
    with unset_fake_temporarily():
        model: Any = build(name, heads=data.heads, width=4)
    return model.to(data.device.torch_device, memory_format=data.device.memory_format)


def dino_state(device: Device) -> TrainingState:
    """Made on the CPU, because networks draw their weights from numbers, then moved."""
    with unset_fake_temporarily(), patch("dainet.dino.network._HIDDEN", 16):
        state = starting_state(DINO, "tour", CPU)
    for network in (state.student, state.teacher):
        set_fused_attention(network.to(device.torch_device), device.fused_attention)
    state.center = state.center.to(device.torch_device)
    return state


def dino_views(device: Device) -> list[torch.Tensor]:
    images = torch.rand(4, 1, 48, 48, device=device.torch_device)
    numbers = device.send(draw_views(images.shape, DINO, torch.Generator().manual_seed(0)))
    return view_maker(DINO, replace(device, records_steps=False))(images, numbers)


# ---- forward passes on CUDA in bfloat16, without data


@pytest.mark.parametrize("name", ["unet", "single", "dual-0000", "dual-0110", "dual-1111"])
def test_networks_run_on_cuda_in_bfloat16(slices: Callable[[Device], SliceData], name: str) -> None:
    with pretended_gpu() as rules:
        data = slices(CUDA)
        model, rows = network(name, data), torch.arange(4, device="cuda")
        rules.waits.clear()
        image, maps, label = augmented_batch(data, rows, random_transforms(4, torch.Generator().manual_seed(0)))
        with CUDA.autocast():
            logits = model(image, maps)
        losses = [segmentation_loss(logits, label, dice) for dice in ("squared", "eq5")]
    assert logits.dtype == torch.bfloat16
    assert all(loss.is_cuda for loss in losses)
    assert rules.waits == []


@pytest.mark.parametrize("name", narrow_baselines())
def test_competitors_run_on_cuda_in_bfloat16(name: str) -> None:
    with unset_fake_temporarily():
        model: Any = build(name, width=4, image_size=64).train()
    with pretended_gpu() as rules:
        model.to("cuda", memory_format=CUDA.memory_format)
        image, label = torch.rand(2, 1, 64, 64, device="cuda"), torch.zeros(2, 64, 64, dtype=torch.long, device="cuda")
        rules.waits.clear()
        with CUDA.autocast():
            logits = model(image)
        assert segmentation_loss(logits, label).is_cuda
    assert rules.waits == []


def test_predictions_and_scores_run_on_cuda_in_bfloat16(slices: Callable[[Device], SliceData]) -> None:
    with pretended_gpu() as rules:
        data, volumes = slices(CUDA), {"a": np.arange(6), "b": np.arange(6, 10)}
        model = CutNetwork(network("dual-1111", data))
        model.heads_on, model.skips_on = (True, False, True), (True, False, True, False)
        assert volume_dsc(model, data, volumes).shape == (2, 3)
        assert data.predict(model, volumes["a"], batch_size=4).shape == (6, 32, 32)
    assert "number" not in rules.waits


def test_attention_maps_run_on_cuda_in_bfloat16() -> None:
    with unset_fake_temporarily():
        vit = load_vit("tour")
    with pretended_gpu() as rules:
        images = torch.rand(2, 1, 40, 40, device="cuda")
        size = input_size(vit.to("cuda"), 40)
        rules.waits.clear()
        with torch.inference_mode(), CUDA.autocast():
            tokens = token_maps(vit, to_vit_input(images, size))
        for resize in ("nearest-bilinear", "bilinear"):
            for normalization in ("minmax", "tokens"):
                settings = AttentionSettings(resize=resize, normalization=normalization)
                assert network_maps(tokens, 64, settings, size).is_cuda
    assert rules.waits == []


def test_dino_runs_forward_on_cuda_in_bfloat16() -> None:
    with pretended_gpu() as rules:
        state = dino_state(CUDA)
        rules.waits.clear()
        views = dino_views(CUDA)
        with CUDA.autocast():
            teacher, student = state.teacher(views[:2]), state.student(views)
        loss = formulas.dino_loss(student, teacher, state.center, 0.1, 0.04)
        entropies = formulas.entropies(teacher, state.center, 0.04)
        center = formulas.update_center(state.center, teacher, 0.9)
    assert [view.shape[-1] for view in views] == [32, 32, 16, 16]
    assert all(tensor.is_cuda for tensor in (loss, *entropies, center))
    assert rules.waits == []


# ---- numbers that training reads, counted on the CPU with real tensors


@pytest.mark.parametrize("name", ["unet", "single", "dual-0000", "dual-1111"])
def test_an_epoch_of_training_reads_one_number(slices: Callable[[Device], SliceData], name: str) -> None:
    data, settings = slices(CPU), SegmentationSettings(batch_size=4, width=4)
    model = network(name, data)
    optimizer = adam(model, settings, CPU)
    step = training_step(model, data, settings, optimizer)
    with GpuRules() as rules:
        train_epoch(step, optimizer, data, np.arange(10), settings, seed=0, epoch=0)
    assert rules.waits == ["number"]  # the loss, after three steps


@pytest.mark.parametrize("epoch", [0, 1])  # with the last layer frozen, and without
def test_a_step_of_dino_reads_no_number(epoch: int) -> None:
    state, views = dino_state(CPU), dino_views(CPU)
    with GpuRules() as rules:
        train_step(state, DINO, views, CPU, epoch, {"lr": 1e-4, "weight_decay": 0.04, "momentum": 0.996})
    assert rules.waits == []


# ---- the rules themselves


def test_a_tensor_left_on_the_cpu_is_caught(slices: Callable[[Device], SliceData]) -> None:
    with pretended_gpu():
        data = slices(CUDA)
        model = network("dual-1111", data)
        image, maps = data.inputs(torch.arange(4, device="cuda"))
        with pytest.raises(RuntimeError, match="same device"):
            model(image, maps.cpu())
        with pytest.raises(RuntimeError, match="same device"):
            segmentation_loss(torch.rand(4, 4, 32, 32, device="cuda"), data.labels[:4].long().cpu())
        with pytest.raises(RuntimeError, match="same device"):
            build("unet")(image)  # a network that was not moved


def test_a_generator_of_the_cpu_a_mask_and_a_number_are_caught() -> None:
    with pretended_gpu():
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, device="cuda", generator=torch.Generator())
        numbers = torch.rand(3, device="cuda")
        with pytest.raises(DynamicOutputShapeException):
            numbers[numbers > 0.5]
        with pytest.raises(DataDependentOutputException):
            numbers.sum().item()


def test_copies_that_wait_are_listed() -> None:
    with pretended_gpu() as rules:
        there = torch.rand(3).to("cuda", non_blocking=True)
        assert rules.waits == []
        there.cpu()
        torch.rand(3).to("cuda")
    assert rules.waits == ["copy from the GPU", "copy to the GPU"]


@pytest.mark.parametrize("read", [torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.numpy, bool, float, int, range])
def test_every_way_to_read_a_number_is_listed(read: Callable[[torch.Tensor], object]) -> None:
    with GpuRules() as rules:
        read(torch.tensor(1))
    assert set(rules.waits) == {"number"}
