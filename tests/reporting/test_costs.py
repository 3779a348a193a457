"""What networks cost: counts against formulas, and times from a clock that is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dainet.device import choose_device
from dainet.reporting import costs
from dainet.reporting.costs import count_operations, example_inputs, network_costs, run_training
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count

CPU = choose_device("cpu")


@pytest.mark.parametrize("name", ["unet", "dual-1111", "dual-features"])
def test_example_inputs_are_what_a_network_takes(name: str) -> None:
    inputs = example_inputs(name, 32, batch=2)
    assert build(name, width=4)(*inputs).shape == (2, 4, 32, 32)


def test_operations_are_counted_without_changing_the_network() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Dropout())
    assert count_operations(network, torch.zeros(1, 1, 10, 12)) == 2 * 8 * 10 * 3 * 9
    assert network.training
    assert network[1].num_batches_tracked == 0


def test_attention_is_counted() -> None:
    tokens, width = 16, 24
    layer = nn.TransformerEncoderLayer(width, 2, 48, batch_first=True)
    matrices = tokens * width * (3 * width + width + 2 * 48)
    attention = 2 * tokens * tokens * width
    assert count_operations(layer, torch.zeros(1, tokens, width)) == 2 * (matrices + attention)


def test_a_row_has_counts_and_images_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.5, 2.0, 1.0, 4.0] * 2)  # two networks take turns in two rounds; first forward, then training
    monkeypatch.setattr(costs, "seconds", lambda work: next(clock))
    networks: dict[str, Any] = {name: build(name, width=4) for name in ("unet", "single")}
    inputs = {name: example_inputs(name, 32, batch=3) for name in networks}
    table = network_costs(networks, inputs, CPU, rounds=2).set_index("Network")
    assert list(table["Parameters (M)"]) == [parameter_count(network) / 1e6 for network in networks.values()]
    assert table.loc["unet", "Inference (images/s)"] == pytest.approx(3 / 0.75)
    assert table.loc["single", "Training (images/s)"] == pytest.approx(3 / 3.0)
    assert table.loc["unet", "GFLOP per image"] < table.loc["single", "GFLOP per image"]


def test_a_training_step_with_several_outputs_leaves_no_gradients() -> None:
    class Supervised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleList(nn.Conv2d(1, 4, 1) for _ in range(2))

        def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
            return [head(image) for head in self.heads]

    network = Supervised()
    run_training(network, example_inputs("unet", 16), CPU)
    assert all(parameter.grad is None for parameter in network.parameters())
