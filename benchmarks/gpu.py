"""Times of single steps on one GPU, by the kit's own functions: `python -m benchmarks.gpu`; a minute (docs/gpu.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from time import perf_counter

import torch
from torch import nn

from benchmarks.timing import count_flops
from dainet.attention.maps import token_maps
from dainet.device import Device, choose_device, hardware
from dainet.dino.step import starting_state, train_step
from dainet.dino.views import multi_crop
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.networks import build
from dainet.settings import DinoSettings
from dainet.vit.model import load_vit, set_fused_attention, to_vit_input

_NETWORKS = [("dual-1111", 64, 224), ("unet", 64, 224), ("dual-1111", 32, 224), ("dual-1111", 16, 128)]
_BATCH = 16
_NOW = {"lr": 1e-4, "weight_decay": 0.04, "momentum": 0.996}


def main() -> None:
    """Print a line for each step: milliseconds, and what share of the card's matrix-product rate it reaches."""
    device = choose_device("cuda")
    square = torch.randn(8192, 8192, device=device.torch_device, dtype=torch.bfloat16)
    rate = 2 * 8192**3 / _seconds(lambda: square @ square)
    print(f"{hardware()['accelerator']}, torch {torch.__version__}: {rate / 1e12:.0f} TFLOP/s in bfloat16")
    for what, step in _steps(device):
        flops, seconds = count_flops(step), _seconds(step)
        print(f"{what}: {1000 * seconds:.1f} ms, {flops / rate / seconds:.0%} of the matrix-product rate", flush=True)


def _steps(device: Device) -> Iterator[tuple[str, Callable[[], object]]]:
    for name, width, size in _NETWORKS:
        what = f"training step of {name}, width {width}, {size} px, batch {_BATCH}"
        yield what, _training_step(build(name, width=width), device, size)
        yield (
            f"{what}, with the biases that batch norm cancels",
            _training_step(_with_biases(build(name, width=width)), device, size),
        )
    settings, generator = DinoSettings(), torch.Generator().manual_seed(0)
    images = torch.rand(64, 1, 256, 256, device=device.torch_device)
    yield "attention maps of 64 images of 256 px, ViT-S/16", _extraction(images, device)
    yield "10 views of 64 images", lambda: multi_crop(images, settings, generator)
    state = starting_state(settings, "random", device)
    views = [to_vit_input(view, view.shape[-1]) for view in multi_crop(images, settings, generator)]
    yield "DINO step, 2 + 8 views, batch 64", lambda: train_step(state, settings, views, device, 1, _NOW)


def _training_step(model: nn.Module, device: Device, size: int) -> Callable[[], None]:
    """Forward pass, loss, backward pass and Adam on one random batch that is already on the device."""
    model = model.to(device.torch_device).to(memory_format=device.memory_format).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, weight_decay=1e-4, fused=device.fused_adam)
    random = torch.rand(_BATCH, 7, size, size, device=device.torch_device)
    image, maps = (part.to(memory_format=device.memory_format) for part in (random[:, :1], random[:, 1:]))
    label = torch.randint(0, 4, (_BATCH, size, size), device=device.torch_device)

    def step() -> None:
        with device.autocast():
            logits = model(image, maps)
        optimizer.zero_grad(set_to_none=True)
        segmentation_loss(logits, label).backward()
        optimizer.step()

    return step


def _with_biases(model: nn.Module) -> nn.Module:
    """The network with a bias in every convolution that a batch norm follows."""
    layers = list(model.modules())
    for conv, norm in pairwise(layers):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
    return model


def _extraction(images: torch.Tensor, device: Device) -> Callable[[], torch.Tensor]:
    vit = load_vit("random").to(device.torch_device).eval()
    set_fused_attention(vit, device.fused_attention)

    @torch.inference_mode()
    def extract() -> torch.Tensor:
        with device.autocast():
            return token_maps(vit, to_vit_input(images, images.shape[-1]))

    return extract


def _seconds(work: Callable[[], object], count: int = 20, warm: int = 5) -> float:
    """Seconds of one call, the mean of `count` after `warm` more; the card is waited for at both ends."""
    for _ in range(warm):
        work()
    torch.cuda.synchronize()
    start = perf_counter()
    for _ in range(count):
        work()
    torch.cuda.synchronize()
    return (perf_counter() - start) / count


if __name__ == "__main__":
    main()
