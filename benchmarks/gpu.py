"""Steps of the kit on one GPU: as it runs them, without graphs, as a plain recipe, and the card's own limits.

python -m benchmarks.gpu    # as `make bench ARGS=--device=cuda`, without what only the CPU's parts need
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.plain_recipe import plain_training
from benchmarks.results_files import growing, write_table
from dainet.attention.stage import AttentionGrid, extractor, write_grid
from dainet.cache.store import StageResult
from dainet.data.prepared import Prepared
from dainet.device import Device, choose_device, hardware
from dainet.dino.step import starting_state, train_step
from dainet.dino.training import view_maker
from dainet.dino.views import draw_views
from dainet.options import new_app, run_app
from dainet.protocol import Classes
from dainet.reporting.work import large_product
from dainet.segmentation.augment import random_transforms
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import count_flops
from dainet.segmentation.slices import SliceData
from dainet.segmentation.step import adam, training_step
from dainet.settings import AttentionSettings, DinoSettings, SegmentationSettings
from dainet.vit.model import fix_input_size, load_vit, set_fused_attention

__all__ = ["Limits", "limits", "measure", "rows"]

_NETWORKS = [
    ("dual-1111", 64, 224),
    ("dual-1111", 32, 224),
    ("dual-1111", 16, 128),
    ("unet", 64, 224),
    ("unet", 32, 224),
]
_BATCH, _SLICES, _HEADS = 16, 64, 6
_NOW = {"lr": 1e-4, "weight_decay": 0.04, "momentum": 0.996}

app = new_app(__doc__)


@app.command()
def main() -> None:
    """Measure this machine's card; the table of steps is written after every row."""
    measure(choose_device("cuda"))


class Limits(NamedTuple):
    """What the card does at its best: operations per second, and bytes per second."""

    product_rate: float
    copy_rate: float


def measure(device: Device) -> None:
    """Write the card's own tables: steps of the kit, after every row, and networks beside peers, once all are timed."""
    from benchmarks.networks import cost_table  # with peers of the extra "bench", which the steps do not need

    name = "gpu-" + "-".join(str(hardware()["accelerator"]).lower().split())
    best = limits(device)
    record = {"TFLOP/s": f"{best.product_rate / 1e12:.0f}", "TB/s": f"{best.copy_rate / 1e12:.2f}"}
    for table in growing(rows(device, best)):
        write_table(name, table.astype(object).fillna(""), record, device)
    for table in growing(cost_table(device, batch=16)):
        write_table(f"{name}-networks", table.round(2), {}, device)


def limits(device: Device) -> Limits:
    """Measure a large matrix product in bfloat16 and a large copy."""
    product, operations = large_product(device.torch_device, torch.bfloat16)
    source = torch.zeros(2**30, dtype=torch.uint8, device=device.torch_device)
    target = torch.empty_like(source)
    return Limits(operations / seconds(product), 2 * 2**30 / seconds(lambda: target.copy_(source)))


def rows(device: Device, best: Limits) -> Iterator[pd.DataFrame]:
    """Measure one line for each step, in milliseconds; "floor" is matrix products and memory traffic at their best."""
    yield _views_line(device)
    yield _extraction_line(device, best)
    yield _dino_line(device, best)
    for name, width, size in _NETWORKS:
        yield _training_line(name, width, size, device, best)


def _training_line(name: str, width: int, size: int, device: Device, best: Limits) -> pd.DataFrame:
    data, settings = _random_slices(size, device), SegmentationSettings(batch_size=_BATCH, width=width)
    model = build(name, heads=_HEADS, width=width).to(device.torch_device)
    image, maps = data.inputs(torch.arange(_BATCH, device=device.torch_device))
    with device.autocast():
        flops = 3 * count_flops(lambda: model(image, maps))  # the backward pass has two products for each one
        traffic = 3 * _activation_bytes(model, image, maps)
    single = _training(name, data, settings, _without_graphs(device))
    times, first = dict[str, float](), dict[str, float]()
    for way, compiled in _recorded_ways(device).items():
        chosen = settings.model_copy(update={"compile": compiled})
        times[way], first[f"First {way.lower()} (s)"] = timed_first(_training(name, data, chosen, device))
    return _line(
        f"training step, {name}, width {width}, {size} px, batch {_BATCH}",
        {
            **times,
            "Single steps": seconds(single),
            "Plain recipe": plain_training(name, width, size, device),
            "Floor": flops / best.product_rate + traffic / best.copy_rate,
        },
        first,
    )


def _training(name: str, data: SliceData, settings: SegmentationSettings, device: Device) -> Callable[[], object]:
    """One step of the kit: gather, augment, resize, forward, loss, backward, Adam."""
    torch.compiler.reset()
    model: Any = build(name, heads=_HEADS, width=settings.width)
    model = model.to(device.torch_device, memory_format=device.memory_format).train()
    on_device = SliceData(data.prepared, data.attention, AttentionSettings(), device)
    step = training_step(model, on_device, settings, adam(model, settings, device))
    matrices = random_transforms(_BATCH, torch.Generator().manual_seed(0)).to(device.torch_device)
    batch = torch.arange(_BATCH, device=device.torch_device)
    return lambda: step(batch, matrices)


def _views_line(device: Device) -> pd.DataFrame:
    settings, generator = DinoSettings(), torch.Generator().manual_seed(0)
    images = torch.rand(64, 1, 256, 256, device=device.torch_device)
    makers = {"Graph": view_maker(settings, device), "Single steps": view_maker(settings, _without_graphs(device))}

    def work(views_of: Callable[[Tensor, Tensor], list[Tensor]]) -> object:
        return views_of(images, device.send(draw_views(images.shape, settings, generator)))

    times = {name: seconds(partial(work, maker)) for name, maker in makers.items()}
    return _line("10 views of 64 images, their random numbers included", times)


def _dino_line(device: Device, best: Limits) -> pd.DataFrame:
    settings, times = DinoSettings(), {}
    images = torch.rand(64, 1, 256, 256, device=device.torch_device)
    numbers = draw_views(images.shape, settings, torch.Generator().manual_seed(0))
    views = view_maker(settings, _without_graphs(device))(images, device.send(numbers))
    ways = {way: (device, compiled) for way, compiled in _recorded_ways(device).items()}
    first = {}
    for way, (where, compiled) in ({"Single steps": (_without_graphs(device), False)} | ways).items():
        torch.compiler.reset()
        chosen = settings.model_copy(update={"compile": compiled})
        state = starting_state(chosen, "random", where)

        def step(state: Any = state, chosen: DinoSettings = chosen, where: Device = where) -> Tensor:
            return train_step(state, chosen, views, where, 1, _NOW)

        if way == "Single steps":
            flops = count_flops(step)
        times[way], first[f"First {way.lower()} (s)"] = timed_first(step)
        del state, step
    return _line(
        "DINO step, ViT-S/16, 2 x 256 and 8 x 96 px, batch 64", {**times, "Floor": flops / best.product_rate}, first
    )


def _extraction_line(device: Device, best: Limits) -> pd.DataFrame:
    vit = load_vit("random").to(device.torch_device).eval()
    set_fused_attention(vit, device.fused_attention)
    fix_input_size(vit, 256)
    images = torch.rand(device.vit_batch, 256, 256, device=device.torch_device, dtype=torch.float16)
    single = extractor(vit, 256, False, _without_graphs(device))
    flops = count_flops(lambda: single(images))
    ways = {way: extractor(vit, 256, compiled, device) for way, compiled in _recorded_ways(device).items()}
    times = {way: seconds(partial(work, images)) for way, work in (ways | {"Single steps": single}).items()}
    what = f"attention maps of {device.vit_batch} images, ViT-S/16, 256 px"
    return _line(what, {**times, "Floor": flops / best.product_rate})


def _recorded_ways(device: Device) -> dict[str, bool]:
    """Return whether each way to record a step compiles it; where nothing compiles there is one way."""
    return {"Graph": False} | ({"Compiled graph": True} if device.compiles else {})


def _without_graphs(device: Device) -> Device:
    return replace(device, records_steps=False)


def _line(what: str, times: dict[str, float], first: dict[str, float] | None = None) -> pd.DataFrame:
    milliseconds = {f"{name} (ms)": [round(1000 * value, 2)] for name, value in times.items()}
    return pd.DataFrame({"What": [what]} | milliseconds | {name: [round(v, 1)] for name, v in (first or {}).items()})


def _random_slices(size: int, device: Device) -> SliceData:
    """Make slices of random pixels with six maps each; nothing is read."""
    random, folder = np.random.default_rng(0), Path(tempfile.mkdtemp())
    images = random.random((_SLICES, size, size)).astype(np.float16)
    labels = random.integers(0, 4, images.shape).astype(np.uint8)
    np.save(folder / "attention.npy", random.random((_SLICES, _HEADS, 16, 16)).astype(np.float16))
    write_grid(folder, AttentionGrid(_HEADS, (16, 16), 16, 256))
    classes = Classes(("RV", "Myo", "LV"), ("#f00", "#0f0", "#00f"))
    prepared = Prepared(StageResult("prepared", "", folder), images, labels, pd.DataFrame(), classes, {})
    return SliceData(prepared, StageResult("attention", "", folder), AttentionSettings(), device)


def _activation_bytes(model: nn.Module, *inputs: Tensor | None) -> int:
    """Bytes that the convolutions of a forward pass must read and write in bfloat16, if all else is fused into them."""
    total = 0

    def count(_: nn.Module, read: tuple[Tensor, ...], written: Tensor) -> None:
        nonlocal total
        total += 2 * (read[0].numel() + written.numel())

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    model(*inputs)
    for hook in hooks:
        hook.remove()
    return total


def timed_first(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of a call once everything is recorded and compiled, and those of the first call."""
    start = perf_counter()
    work()
    torch.cuda.synchronize()
    first = perf_counter() - start
    return seconds(work), first


def seconds(work: Callable[[], object], count: int = 20, warm: int = 5) -> float:
    """Seconds of one call: the median of three means of `count` after `warm` more; the card is waited for."""
    for _ in range(warm):
        work()
    means = []
    for _ in range(3):
        torch.cuda.synchronize()
        start = perf_counter()
        for _ in range(count):
            work()
        torch.cuda.synchronize()
        means.append((perf_counter() - start) / count)
    return float(np.median(means))


if __name__ == "__main__":
    run_app(app)
