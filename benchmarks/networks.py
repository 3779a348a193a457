"""Cost of every network, a table that the paper does not print: parameters, operations, images per second, memory.

python -m benchmarks.networks NAME WIDTH BATCH    # memory of one network, in its own process
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.timing import PeakMemory, apart
from dainet.device import Device, choose_device
from dainet.reporting.costs import count_operations, example_inputs, network_costs, run_training
from dainet.segmentation.catalog import BASELINES, build
from dainet.segmentation.networks import parameter_count

__all__ = ["NAMES", "cost_table", "count_table", "matching_width"]

_SIDE_PX, _CLASSES, _WIDTH = 224, 9, 64
_HYBRID = "transunet"

NAMES = ["dual-1111", "unet", "single", *(name for name in BASELINES if not name.endswith("-small"))]


def matching_width() -> int:
    """Find the width at which the operations of dual-1111 are closest to those of TransUNet."""

    def operations(name: str, width: int) -> int:
        return count_operations(_build(name, width), *example_inputs(name, _SIDE_PX))

    goal = operations(_HYBRID, _WIDTH)
    return min(range(16, 65), key=lambda width: abs(operations("dual-1111", width) - goal))


def cost_table(device: Device, batch: int = 4, rounds: int = 3) -> Iterator[pd.DataFrame]:
    """Measure one row per network; see `network_costs`. Those of a free width are named with it."""
    chosen = {_title(name, _WIDTH): (name, _WIDTH) for name in NAMES}
    width = matching_width()
    chosen[_title("dual-1111", width)] = ("dual-1111", width)
    networks = {title: _on_device(_build(name, width), device) for title, (name, width) in chosen.items()}
    inputs = {title: _inputs(name, device, batch) for title, (name, _) in chosen.items()}
    costs = network_costs(networks, inputs, device, rounds)
    del networks
    for row, (name, width) in enumerate(chosen.values()):
        yield costs.iloc[[row]].assign(**{"Peak memory of training (GiB)": _memory_of(name, width, device, batch)})


def count_table() -> pd.DataFrame:
    """Count the parameters and operations of every network, which takes no measurement and no quiet machine."""
    rows = []
    for name, width in [*((name, _WIDTH) for name in NAMES), ("dual-1111", matching_width())]:
        with torch.device("meta"):
            network = _build(name, width)
        operations = count_operations(network, *example_inputs(name, _SIDE_PX))
        rows.append((_title(name, width), parameter_count(network) / 1e6, operations / 1e9))
    return pd.DataFrame(rows, columns=["Network", "Parameters (M)", "GFLOP per image"])


def _title(name: str, width: int) -> str:
    """Name a network, with its width where it has one that can be chosen."""
    with torch.device("meta"):
        counts = [sum(x.numel() for x in _build(name, w).parameters()) for w in (width, width + 8)]
    return name if counts[0] == counts[1] else f"{name} (width {width})"


def _build(name: str, width: int) -> nn.Module:
    return build(name, classes=_CLASSES, width=width, image_size=_SIDE_PX)


def _on_device(network: nn.Module, device: Device) -> nn.Module:
    return network.to(device.torch_device).to(memory_format=device.memory_format)


def _inputs(name: str, device: Device, batch: int) -> tuple[Tensor, ...]:
    return tuple(
        x.to(device.torch_device, memory_format=device.memory_format) for x in example_inputs(name, _SIDE_PX, batch)
    )


def _memory_of(name: str, width: int, device: Device, batch: int) -> float:
    """Peak memory of a training step in GiB: of the card, or of a process of its own without the libraries."""
    if device.torch_device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        _train(name, width, device, batch)
        return (torch.cuda.max_memory_allocated() - start) / 2**30
    return float(apart("benchmarks.networks", name, width, batch))


def _train(name: str, width: int, device: Device, batch: int) -> None:
    run_training(_on_device(_build(name, width), device), _inputs(name, device, batch), device)


if __name__ == "__main__":
    cpu = choose_device("cpu")
    with PeakMemory() as peak:
        _train(sys.argv[1], int(sys.argv[2]), cpu, int(sys.argv[3]))
    print(peak.mib / 1024)
