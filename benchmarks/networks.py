"""Cost of the networks, a table that the paper does not print: parameters, operations, images per second, peak memory.

python -m benchmarks.networks NAME BATCH    # memory of one network, in its own process
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

import pandas as pd
import segmentation_models_pytorch as smp
import torch
from monai.networks.nets import UNETR, AttentionUnet, SwinUNETR
from torch import Tensor, nn

from benchmarks.hybrid import HybridUNet
from benchmarks.timing import PeakMemory, interleaved
from dainet.device import Device, choose_device
from dainet.reporting.work import count_flops
from dainet.segmentation.catalog import build
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.networks import parameter_count

__all__ = ["NETWORKS", "cost_table", "matching_width"]

_SIDE_PX, _CLASSES = 224, 9
_HYBRID = "R50 + ViT-B hybrid"

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "dual-1111 (width 64)": partial(build, "dual-1111", classes=_CLASSES),
    "U-Net (width 64)": partial(build, "unet", classes=_CLASSES),
    "single encoder (width 64)": partial(build, "single", classes=_CLASSES),
    "MONAI AttentionUnet": partial(
        AttentionUnet, 2, 1, _CLASSES, channels=(64, 128, 256, 512, 1024), strides=(2, 2, 2, 2)
    ),
    "MONAI SwinUNETR": partial(SwinUNETR, 1, _CLASSES, feature_size=48, spatial_dims=2),
    "MONAI UNETR": partial(UNETR, 1, _CLASSES, _SIDE_PX, spatial_dims=2),
    "SMP R50 U-Net": partial(smp.Unet, "resnet50", encoder_weights=None, in_channels=1, classes=_CLASSES),
    _HYBRID: partial(HybridUNet, classes=_CLASSES),
}


def matching_width() -> int:
    """Find the width at which the operations of dual-1111 are closest to those of the hybrid."""

    def flops(width: int) -> int:
        return _flops(build("dual-1111", classes=_CLASSES, width=width))

    goal = _flops(NETWORKS[_HYBRID]())
    return min(range(16, 65), key=lambda width: abs(flops(width) - goal))


def cost_table(device: Device, batch: int = 4, rounds: int = 3) -> Iterator[pd.DataFrame]:
    """Measure one row per network; images per second are medians over rounds in which all networks take turns."""
    width = matching_width()
    names = [*NETWORKS, f"dual-1111 (width {width})"]
    networks = {name: _network(name, device) for name in names}
    forward, train = (
        interleaved({name: partial(work, network, device, batch) for name, network in networks.items()}, rounds)
        for work in (_forward, _train)
    )
    for name, network in networks.items():
        yield pd.DataFrame(
            {
                "Network": [name],
                "Parameters (M)": [parameter_count(network) / 1e6],
                "GFLOP per image": [_flops(network.cpu()) / 1e9],
                "Inference (images/s)": [batch / forward[name].median()],
                "Training (images/s)": [batch / train[name].median()],
                "Peak memory of training (GiB)": [_memory_of(name, device, batch)],
            }
        )


def _network(name: str, device: Device) -> nn.Module:
    if name in NETWORKS:
        network = NETWORKS[name]()
    else:
        network = build("dual-1111", classes=_CLASSES, width=int(name.split()[-1].rstrip(")")))
    return network.to(device.torch_device).to(memory_format=device.memory_format)


def _inputs(network: nn.Module, device: Device, batch: int) -> tuple[Tensor, ...]:
    """Make an image, and six maps for the networks of this kit that use them."""
    heads = getattr(network, "heads", 0)
    channels = (1, heads) if heads else (1,)
    return tuple(
        torch.rand(batch, count, _SIDE_PX, _SIDE_PX, device=device.torch_device).contiguous(
            memory_format=device.memory_format
        )
        for count in channels
    )


def _flops(network: nn.Module) -> int:
    network.eval()
    with torch.inference_mode():
        return count_flops(lambda: network(*_inputs(network, choose_device("cpu"), 1)))


def _forward(network: nn.Module, device: Device, batch: int) -> None:
    network.eval()
    with torch.inference_mode(), device.autocast():
        network(*_inputs(network, device, batch)).sum().item()  # a GPU is waited for


def _train(network: nn.Module, device: Device, batch: int) -> None:
    """Run forward, loss and backward; the optimizer is the same for all networks and left out."""
    network.train()
    label = torch.zeros(batch, _SIDE_PX, _SIDE_PX, dtype=torch.long, device=device.torch_device)
    with device.autocast():
        logits = network(*_inputs(network, device, batch))
    loss = segmentation_loss(logits, label)
    loss.backward()
    network.zero_grad(set_to_none=True)
    if device.torch_device.type == "cuda":
        torch.cuda.synchronize()


def _memory_of(name: str, device: Device, batch: int) -> float:
    """Peak memory of a training step in GiB: of the card, or of a process of its own without the libraries."""
    if device.torch_device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        _train(_network(name, device), device, batch)
        return (torch.cuda.max_memory_allocated() - start) / 2**30
    command = [sys.executable, "-m", "benchmarks.networks", name, str(batch)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    cpu = choose_device("cpu")
    with PeakMemory() as peak:
        _train(_network(sys.argv[1], cpu), cpu, int(sys.argv[2]))
    print(peak.mib / 1024)
