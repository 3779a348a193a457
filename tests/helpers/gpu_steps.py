"""The work that goes to a GPU, done with tensors that have a device and a shape but no data.

A tensor on the wrong device raises there as it does on a GPU, and `GpuRules` adds what `FakeTensorMode` lets pass.
Without a GPU torch's autograd refuses CUDA tensors, fake ones too, so everything with a backward pass runs on a
stand-in: an accelerator registered from Python, for a whole process, which is why this file is also a program.

python -m tests.helpers.gpu_steps    # every step on the stand-in; prints {step: "" or the error} as JSON
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

from dainet.attention.maps import network_maps, token_maps
from dainet.cache.store import StageResult
from dainet.data.prepared import Prepared
from dainet.device import Device, choose_device, device_settings
from dainet.dino import formulas
from dainet.dino.training import TrainingState, starting_state, train_step
from dainet.dino.views import multi_crop
from dainet.protocol import Classes
from dainet.segmentation.augment import random_transforms
from dainet.segmentation.cuts import CutNetwork
from dainet.segmentation.evaluation import volume_dsc
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.networks import build
from dainet.segmentation.slices import SliceData
from dainet.segmentation.training import augmented_batch, train_epoch
from dainet.settings import AttentionSettings, DinoSettings, SegmentationSettings
from dainet.vit.model import input_size, load_vit, set_fused_attention, to_vit_input

CUDA = device_settings(torch.device("cuda"), native_bf16=True)
_STAND_IN = "stand_in"
_DINO = DinoSettings(batch_size=4, epochs=1, warmup_epochs=0, out_dim=64, global_size=32, local_crops=2, local_size=16)
_NOW = {"lr": 1e-4, "weight_decay": 0.04, "momentum": 0.996}


class GpuRules(TorchDispatchMode):
    """Refuses a generator of another device, as CUDA does, and counts in `waits` when the processor waits for the GPU.

    It waits for a number it reads, for a copy to the CPU, and for a copy from it that is not `non_blocking`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.ops.aten._local_scalar_dense.default and _on_gpu(args[0]):
            self.waits.append("number")
            return 0.0 if args[0].is_floating_point() else 0
        result = function(*args, **kwargs)
        if kwargs.get("generator") is not None and _on_gpu(result):
            raise RuntimeError(f"{function}: a generator on the {kwargs['generator'].device} for {result.device}")
        if function is torch.ops.aten._to_copy.default and _on_gpu(args[0]) != _on_gpu(result):
            direction = "from" if _on_gpu(args[0]) else "to"
            if direction == "from" or not kwargs.get("non_blocking"):
                self.waits.append(f"copy {direction} the GPU")
        return result


def _on_gpu(tensor: torch.Tensor) -> bool:
    return tensor.device.type != "cpu"


@contextmanager
def pretended_gpu() -> Iterator[GpuRules]:
    """Inside, tensors have no data, and those of a GPU that does not exist may be made and computed with.

    torch is told to send nothing there; CUDA's mixed precision, which wants a GPU, is told that there is one.
    """
    with (
        patch.object(FakeTensorMode, "avoid_device_init", True),
        patch("torch.cuda.amp.common.amp_definitely_not_available", return_value=False),
        patch("torch.cuda.is_bf16_supported", return_value=True),
        FakeTensorMode(allow_non_fake_inputs=True),
        GpuRules() as rules,
    ):
        yield rules


def slices(device: Device) -> SliceData:
    """Ten slices of 32 px in two volumes, with three maps each."""
    random = np.random.default_rng(0)
    images = random.random((10, 32, 32)).astype(np.float16)
    labels = random.integers(0, 4, images.shape).astype(np.uint8)
    classes = Classes(("RV", "Myo", "LV"), ("#f00", "#0f0", "#00f"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "attention.npy", random.random((10, 3, 4, 4)).astype(np.float16))
        (folder / "attention.json").write_text('{"heads": 3, "grid": [4, 4], "patch": 8, "vit_size_px": 32}')
        prepared = Prepared(StageResult("prepared", "", folder), images, labels, pd.DataFrame(), classes, {})
        return SliceData(prepared, StageResult("attention", "", folder), AttentionSettings(), device)


def network(name: str, data: SliceData) -> torch.nn.Module:
    """A narrow network, born with data, and moved as `dainet.segmentation.training` moves it."""
    with unset_fake_temporarily():
        model = build(name, heads=data.heads, width=4)
    return model.to(data.device.torch_device, memory_format=data.device.memory_format)  # type: ignore[call-overload]


def augmentation(device: Device, rules: GpuRules) -> None:
    data = slices(device)
    rows = torch.arange(4, device=device.torch_device)
    rules.waits.clear()
    for tensor in augmented_batch(data, rows, random_transforms(4, torch.Generator().manual_seed(0))):
        assert tensor is not None
        assert _on_gpu(tensor)
    assert rules.waits == []


def segmentation_forward(device: Device, rules: GpuRules) -> None:
    data = slices(device)
    image, maps = data.inputs(torch.arange(4, device=device.torch_device))
    label = data.labels[:4].long()
    for name in ("unet", "single", "dual-0000", "dual-0110", "dual-1111"):
        with device.autocast():
            logits = network(name, data)(image, maps)
        assert logits.dtype == (device.autocast_dtype or torch.float32)
        for dice in ("squared", "eq5"):
            assert _on_gpu(segmentation_loss(logits, label, dice))


def evaluation(device: Device, rules: GpuRules) -> None:
    data = slices(device)
    volumes = {"a": np.arange(6), "b": np.arange(6, 10)}
    model = CutNetwork(network("dual-1111", data))  # type: ignore[arg-type]
    model.heads_on, model.skips_on = (True, False, True), (True, False, True, False)
    assert volume_dsc(model, data, volumes).shape == (2, 3)
    assert data.predict(model, volumes["a"], batch_size=4).shape == (6, 32, 32)
    assert "number" not in rules.waits


def attention(device: Device, rules: GpuRules) -> None:
    with unset_fake_temporarily():
        vit = load_vit("tour")
    vit.to(device.torch_device)
    images = torch.rand(2, 1, 40, 40, device=device.torch_device)
    size = input_size(vit, 40)
    with torch.inference_mode(), device.autocast():
        tokens = token_maps(vit, to_vit_input(images, size))
    for resize in ("nearest-bilinear", "bilinear"):
        for normalization in ("minmax", "tokens"):
            settings = AttentionSettings(resize=resize, normalisation=normalization)
            assert _on_gpu(network_maps(tokens, 64, settings, size))
    assert "number" not in rules.waits


def views(device: Device, rules: GpuRules) -> None:
    images = torch.rand(4, 1, 48, 48, device=device.torch_device)
    rules.waits.clear()
    assert [view.shape[-1] for view in _views(images)] == [32, 32, 16, 16]
    assert rules.waits == []


def _views(images: torch.Tensor) -> list[torch.Tensor]:
    crops = multi_crop(images, _DINO, torch.Generator().manual_seed(0))
    return [to_vit_input(crop, crop.shape[-1]) for crop in crops]


def _dino_state(device: Device) -> TrainingState:
    """Made on the CPU, because networks draw their weights from numbers; then moved as `starting_state` moves it."""
    with unset_fake_temporarily(), patch("dainet.dino.formulas._HIDDEN", 16):
        state = starting_state(_DINO, "tour", choose_device("cpu"))
    for network in (state.student, state.teacher):
        set_fused_attention(network.to(device.torch_device), device.fused_attention)
    state.optimizer = torch.optim.AdamW(formulas.parameter_groups(state.student), lr=_DINO.lr, fused=device.fused_adam)
    state.center = state.center.to(device.torch_device)
    return state


def dino_forward(device: Device, rules: GpuRules) -> None:
    state = _dino_state(device)
    batch = _views(torch.rand(4, 1, 48, 48, device=device.torch_device))
    rules.waits.clear()
    with device.autocast():
        teacher, student = state.teacher(batch[:2]), state.student(batch)
    loss = formulas.dino_loss(student, teacher, state.center, 0.1, 0.04)
    entropies = formulas.entropies(teacher, state.center, 0.04)
    for tensor in (loss, *entropies, formulas.update_center(state.center, teacher, 0.9)):
        assert _on_gpu(tensor)
    assert rules.waits == []


def dino_steps(device: Device, rules: GpuRules) -> None:
    """Two whole steps, of a first epoch with the last layer frozen and of a later one; none of them waits."""
    state = _dino_state(device)
    batch = _views(torch.rand(4, 1, 48, 48, device=device.torch_device))
    rules.waits.clear()
    for epoch in (0, 1):
        assert _on_gpu(train_step(state, _DINO, batch, device, epoch, _NOW))
    moments = [value for values in state.optimizer.state.values() for value in values.values()]
    assert moments
    assert all(_on_gpu(value) for value in (*moments, state.center))
    assert rules.waits == []


def training_epochs(device: Device, rules: GpuRules) -> None:
    """Epochs of three steps; the only number that is read is the loss at the end."""
    data = slices(device)
    settings = SegmentationSettings(batch_size=4, width=4)
    for name in ("unet", "single", "dual-0000", "dual-1111"):
        model = network(name, data)
        optimizer = torch.optim.Adam(model.parameters(), 1e-4, weight_decay=1e-4, fused=device.fused_adam)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        rules.waits.clear()
        train_epoch(model, data, np.arange(10), settings, optimizer, schedule, seed=0)
        assert all(_on_gpu(parameter.grad) for parameter in model.parameters() if parameter.grad is not None)
        assert rules.waits == ["copy to the GPU", "number"]  # the order of the slices, the loss


FORWARD: tuple[Callable[[Device, GpuRules], None], ...] = (
    *(augmentation, segmentation_forward, evaluation, attention, views, dino_forward),
)
STEPS = (*FORWARD, training_epochs, dino_steps)


def run(step: Callable[[Device, GpuRules], None], device: Device) -> None:
    """One step on a GPU that is pretended."""
    with pretended_gpu() as rules:
        step(device, rules)


class _StandIn(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def _outcome(step: Callable[[Device, GpuRules], None], device: Device) -> str:
    try:
        run(step, device)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    backend_registration._setup_privateuseone_for_python_backend(_STAND_IN, _StandIn())
    # CUDA's settings, in float32: torch has no mixed precision for an accelerator of this kind.
    stand_in = replace(CUDA, torch_device=torch.device(_STAND_IN), autocast_dtype=None)
    print(json.dumps({step.__name__: _outcome(step, stand_in) for step in STEPS}))
