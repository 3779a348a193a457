"""What recording a step needs and a CPU can show: the runs before it leave no trace. The rest is in tests/gpu."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dainet.cuda_graphs import changed_by, warm_up, worth_compiling
from dainet.device import choose_device


def setup(steps: int) -> tuple[nn.Module, torch.optim.Optimizer, list[Tensor]]:
    """A network with batch norm that has trained for some steps, and all that its training changes."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=True)
    for _ in range(steps):
        step(model, optimizer)(torch.rand(2, 1, 5, 5))
    return model, optimizer, [tensor.clone() for tensor in changed_by(model, optimizer)]


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[[Tensor], Tensor]:
    def update(image: Tensor) -> Tensor:
        loss = model(image).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return update


@pytest.mark.parametrize("steps", [0, 2])  # without and with moments of Adam
def test_a_warm_up_leaves_no_trace(steps: int) -> None:
    image = torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(1))
    model, optimizer, before = setup(steps)
    warm_up(step(model, optimizer), [image], lambda: changed_by(model, optimizer))
    after = list(changed_by(model, optimizer))
    assert len(after) == 4 + 3 + 3 * 4  # parameters, running statistics, Adam's state
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=False))
    fresh, same, _ = setup(steps)
    for trained in ((model, optimizer), (fresh, same)):
        step(*trained)(image)
    for one, two in zip(changed_by(model, optimizer), changed_by(fresh, same), strict=True):
        assert torch.equal(one, two)


def test_a_long_training_of_one_process_is_compiled_where_that_pays_unless_the_setting_says_otherwise() -> None:
    cpu = choose_device("cpu")
    gpu = replace(cpu, compiles=True)
    assert [worth_compiling(None, gpu, 1, steps, 100) for steps in (99, 100)] == [False, True]
    assert not worth_compiling(None, cpu, 1, 100, 100)
    assert not worth_compiling(None, gpu, 2, 100, 100)
    assert worth_compiling(True, cpu, 2, 1, 100)
    assert not worth_compiling(False, gpu, 1, 100, 100)
