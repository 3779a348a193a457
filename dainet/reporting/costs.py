"""What networks cost: parameters, operations, and images per second, measured in turn in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter

import pandas as pd
import torch
from torch import Tensor, nn

from dainet.device import Device
from dainet.reporting.network_trace import run_on_meta
from dainet.segmentation.catalog import takes
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.networks import count_flops, parameter_count
from dainet.segmentation.slices import final_logits

__all__ = [
    "count_operations",
    "example_inputs",
    "interleaved",
    "network_costs",
    "run_forward",
    "run_training",
    "seconds",
]


def network_costs(
    networks: Mapping[str, nn.Module], inputs: Mapping[str, tuple[Tensor, ...]], device: Device, rounds: int = 3
) -> pd.DataFrame:
    """Measure networks: images per second are medians over rounds in which all networks take turns.

    Only ratios of one table count: a shared machine drifts, and the optimizer, which is the same for all, is left out.

    Args:
        networks: name -> network on the device.
        inputs: name -> its inputs, a batch each, on the device; see `example_inputs`.
        device: says in which precision they run.
        rounds: after one that warms up.

    Returns:
        Columns Network, Parameters (M), GFLOP per image (a multiply-add counts as two), Inference and Training
        (images/s).
    """
    forward, train = (
        interleaved({name: partial(work, network, inputs[name], device) for name, network in networks.items()}, rounds)
        for work in (run_forward, run_training)
    )
    rows = [
        {
            "Network": name,
            "Parameters (M)": parameter_count(network) / 1e6,
            "GFLOP per image": count_operations(network, *(x[:1] for x in inputs[name])) / 1e9,
            "Inference (images/s)": len(inputs[name][0]) / forward[name].median(),
            "Training (images/s)": len(inputs[name][0]) / train[name].median(),
        }
        for name, network in networks.items()
    ]
    return pd.DataFrame(rows)


def example_inputs(name: str, image_size: int, batch: int = 1) -> tuple[Tensor, ...]:
    """Make random inputs [B, C, H, W] for a network of the catalog: an image, and the maps or features that it takes.

    They are those of a ViT-S/16: six maps, or 384 features on a grid of one token per 16 px.

    Args:
        name: of `dainet.segmentation.catalog.build`.
        image_size: side of image and maps in px.
        batch: images.
    """
    second = {"image": (), "maps": ((6, image_size),), "features": ((384, image_size // 16),)}[takes(name)]
    return tuple(torch.rand(batch, channels, side, side) for channels, side in ((1, image_size), *second))


def count_operations(network: nn.Module, *inputs: Tensor) -> int:
    """Count the floating-point operations of `network(*inputs)` in evaluation mode, without computing any."""
    with torch.no_grad():
        return count_flops(lambda: run_on_meta(network, *inputs))


@torch.inference_mode()
def run_forward(network: nn.Module, inputs: tuple[Tensor, ...], device: Device) -> None:
    """Compute the logits of a batch in evaluation mode; a GPU is waited for."""
    network.eval()
    with device.autocast():
        output = network(*inputs)
    final_logits(output).sum().item()


def run_training(network: nn.Module, inputs: tuple[Tensor, ...], device: Device) -> None:
    """Compute forward pass, loss and gradients of a batch in training mode; a GPU is waited for."""
    network.train()
    batch, _, height, width = inputs[0].shape
    label = torch.zeros(batch, height, width, dtype=torch.long, device=device.torch_device)
    with device.autocast():
        logits = network(*inputs)
    segmentation_loss(logits, label).backward()
    gradients = [x.grad for x in network.parameters() if x.grad is not None]
    gradients[0].sum().item()
    network.zero_grad(set_to_none=True)


def interleaved(works: Mapping[str, Callable[[], object]], rounds: int) -> pd.DataFrame:
    """Measure seconds [rounds, works] after a warm-up, in turn, so that a drift of the machine affects all equally."""
    for work in works.values():
        work()
    return pd.DataFrame([{name: seconds(work) for name, work in works.items()} for _ in range(rounds)])


def seconds(work: Callable[[], object]) -> float:
    """Measure the wall time of one call."""
    start = perf_counter()
    work()
    return perf_counter() - start
