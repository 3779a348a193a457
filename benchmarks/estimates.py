"""What work costs, found without doing it: operations and peak memory, from tensors that have no data."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.timing import count_flops
from dainet.attention.maps import token_maps
from dainet.device import Device, device_settings
from dainet.dino.formulas import parameter_groups
from dainet.dino.training import starting_state, train_step
from dainet.dino.views import multi_crop
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.networks import build
from dainet.settings import DinoSettings, SegmentationSettings
from dainet.vit.model import set_fused_attention, to_vit_input

__all__ = ["Estimate", "PeakStorage", "dino_step", "extraction", "inference", "training_step"]

_HEADS = 6  # of ViT-S/16
_NOW = {"lr": 1e-4, "weight_decay": 0.04, "momentum": 0.996}


@dataclass(frozen=True)
class Estimate:
    """Floating-point operations of one step, two per multiply-add, and the most bytes that live in it at once."""

    flops: int
    peak_bytes: int


class PeakStorage(TorchDispatchMode):
    """The most bytes, `peak`, of all storages that live at once: those given and those made inside."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._sizes: dict[int, int] = {}
        for tensor in tensors:
            self._add(tensor)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf)
        return result

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._sizes:
            self._sizes[storage._cdata] = storage.nbytes()
            self._now += storage.nbytes()
            self.peak = max(self.peak, self._now)
            weakref.finalize(storage, self._remove, storage._cdata)

    def _remove(self, key: int) -> None:
        self._now -= self._sizes.pop(key)


def training_step(
    name: str, classes: int, settings: SegmentationSettings, bfloat16: bool = True, optimized: bool = True
) -> Estimate:
    """A step of `training.train_epoch`, without the augmentation; `optimized` = False leaves Adam out."""
    device = _device(bfloat16)
    with _without_data():
        model, inputs = _network(name, classes, settings, settings.batch_size)
        label = torch.zeros(settings.batch_size, settings.image_size, settings.image_size, dtype=torch.long)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)

        def step() -> None:
            with device.autocast():
                logits = model(*inputs)
            loss = segmentation_loss(logits, label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if optimized:
                optimizer.step()

        return _estimate(step, [*_tensors(model), *inputs, label])


def inference(name: str, classes: int, settings: SegmentationSettings, batch: int, bfloat16: bool = True) -> Estimate:
    """A batch of `SliceData.predict`."""
    device = _device(bfloat16)
    with _without_data(), torch.no_grad():
        model, inputs = _network(name, classes, settings, batch)

        def step() -> None:
            with device.autocast():
                model.eval()(*inputs).argmax(dim=1).to(torch.uint8)

        return _estimate(step, [*_tensors(model), *inputs])


def dino_step(settings: DinoSettings, bfloat16: bool = True) -> Estimate:
    """A step of `dainet.dino.training` with a ViT-S/16, its views included."""
    device, meta = _device(bfloat16), torch.device("meta")
    with meta:
        state = starting_state(settings, "random", device_settings(meta, bfloat16))
    with _without_data():
        for network in (state.student, state.teacher):
            network.to_empty(device="cpu")
        state.optimizer = torch.optim.AdamW(parameter_groups(state.student), fused=True)
        state.center = torch.zeros(settings.out_dim)
        images, generator = torch.rand(settings.batch_size, 1, settings.global_size, settings.global_size), _generator()

        def step() -> None:
            views = [to_vit_input(view, view.shape[-1]) for view in multi_crop(images, settings, generator)]
            train_step(state, settings, views, device, epoch=1, now=_NOW)

        return _attention_estimate(step, nn.ModuleList([state.student, state.teacher]), [images, state.center])


def extraction(size: int, batch: int, bfloat16: bool = True) -> Estimate:
    """A batch of `dainet.attention.maps.run_attention` with a ViT-S/16."""
    device, meta = _device(bfloat16), torch.device("meta")
    with meta:
        vit = starting_state(DinoSettings(out_dim=2), "random", device_settings(meta, bfloat16)).teacher.backbone
    with _without_data(), torch.no_grad():
        vit.to_empty(device="cpu")
        images = torch.rand(batch, 1, size, size)

        def step() -> None:
            with device.autocast():
                token_maps(vit, to_vit_input(images, size))

        return _attention_estimate(step, vit, [images])


def _device(bfloat16: bool) -> Device:
    """A GPU's settings on the CPU, where autograd takes tensors without data; the layout in memory is the same."""
    return replace(device_settings(torch.device("cpu"), bfloat16), fused_attention=True)


@contextmanager
def _without_data() -> Iterator[None]:
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def _network(
    name: str, classes: int, settings: SegmentationSettings, batch: int
) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """A network and its inputs: image and maps."""
    image, maps = (torch.rand(batch, count, settings.image_size, settings.image_size) for count in (1, _HEADS))
    return build(name, heads=_HEADS, classes=classes, width=settings.width), (image, maps)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _attention_estimate(step: Callable[[], None], module: nn.Module, tensors: list[Tensor]) -> Estimate:
    """Memory with fused attention, as on a GPU; operations without: torch does not count the CPU's fused one."""
    set_fused_attention(module, True)
    peak_bytes = _estimate(step, [*_tensors(module), *tensors]).peak_bytes
    set_fused_attention(module, False)
    return Estimate(count_flops(step), peak_bytes)


def _estimate(step: Callable[[], None], tensors: list[Tensor]) -> Estimate:
    """Of the second step, which finds the optimizer's moments there."""
    with PeakStorage(tensors) as storage:
        step()
        flops = count_flops(step)
    return Estimate(flops, storage.peak)
