"""Steps recorded as CUDA graphs: one launch replays hundreds of kernels, for which small networks wait otherwise.

A graph repeats the same kernels on the same memory. What differs between steps must therefore arrive as a tensor, what
a step changes must be changed in place, and nothing may be read on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dainet.device import Device

__all__ = ["changed_by", "compiled", "recorded", "warm_up", "worth_compiling"]

_WARM_UP = 3  # runs before recording, in which libraries choose kernels and optimizers make their moments


def recorded(step: Callable[..., Any], changed: Callable[[], Iterable[Tensor]]) -> Callable[..., Any]:
    """Return a function that records `step` at its first call with tensors of new shapes, and replays it from then on.

    Args:
        step: takes tensors on a CUDA device and returns tensors, which the next call overwrites.
        changed: lists what the step changes in place, also what only its first run makes; see `warm_up`.
    """
    graphs: dict[tuple[torch.Size, ...], tuple[torch.cuda.CUDAGraph, list[Tensor], Any]] = {}

    def replay(*inputs: Tensor) -> Any:
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in graphs:
            graphs[shapes] = _record(step, inputs, changed)
        graph, places, output = graphs[shapes]
        for place, tensor in zip(places, inputs, strict=True):
            place.copy_(tensor, non_blocking=True)
        graph.replay()
        return output

    return replay


def warm_up(step: Callable[..., Any], inputs: Sequence[Tensor], changed: Callable[[], Iterable[Tensor]]) -> None:
    """Run a step a few times and undo what it changed; tensors that it has made (moments, step counts) become zero."""
    before = [(tensor, tensor.clone()) for tensor in changed()]
    for _ in range(_WARM_UP):
        step(*inputs)
    known = {id(tensor) for tensor, _ in before}
    with torch.no_grad():
        for tensor, value in before:
            tensor.copy_(value)
        for tensor in changed():
            if id(tensor) not in known:
                tensor.zero_()


def compiled(step: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a step for the shapes of its first call, and drop what earlier trainings of this process have compiled.

    torch keeps at most eight versions of one function, and the next one would run without being compiled.
    """
    torch.compiler.reset()
    return torch.compile(step, dynamic=False)


def worth_compiling(asked: bool | None, device: Device, processes: int, steps: int, least: int) -> bool:
    """Return what was asked for, or else whether a training of so many steps earns the time of its compilation.

    Args:
        asked: the setting; None leaves it to this function.
        device: where to train.
        processes: that share the training; a shared one is not compiled unasked.
        steps: of the whole training.
        least: from how many steps on it pays (docs/gpu.md).
    """
    return asked if asked is not None else device.compiles and processes == 1 and steps >= least


def changed_by(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Iterable[Tensor]:
    """List what a training step changes: parameters, running statistics, and the optimizer's state once it has one."""
    yield from model.parameters()
    yield from model.buffers()
    for values in optimizer.state.values():
        yield from (value for value in values.values() if isinstance(value, Tensor))


def _record(
    step: Callable[..., Any], inputs: Sequence[Tensor], changed: Callable[[], Iterable[Tensor]]
) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Any]:
    """Warm up on another stream, as torch asks for, then record; recording runs nothing."""
    places = [tensor.clone() for tensor in inputs]
    device, graph = places[0].device, torch.cuda.CUDAGraph()
    side, here = _side_stream(device), torch.cuda.current_stream(device)  # earlier replays may still run here
    side.wait_stream(here)
    with torch.cuda.stream(side), torch.random.fork_rng(devices=[device]):
        warm_up(step, places, changed)
    here.wait_stream(side)
    with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):  # other threads may use the card
        output = step(*places)
    return graph, places, output


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # the same each time: libraries keep memory for every stream
