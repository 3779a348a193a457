"""Operations of several processes that share one training; a single process gets its own values back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from dainet.device import Device

__all__ = [
    "broadcast_buffers",
    "gathered",
    "mean",
    "own_seed",
    "parallel",
    "process_count",
    "process_group",
    "rank",
    "share",
    "summed",
    "weighted_mean",
]


class _Sum(torch.autograd.Function):
    """Sum over the processes, also of gradients; torch deprecates its own version without a public successor."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


@contextmanager
def process_group(device: Device) -> Iterator[None]:
    """Connect the processes that torchrun has started, within this context."""
    bound = device.torch_device if device.collectives == "nccl" else None
    distributed.init_process_group(device.collectives, device_id=bound)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def process_count() -> int:
    """Return the number of processes that work together; 1 without a process group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return the number of this process among them, from 0; process 0 writes the results that all of them share."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def own_seed(seed: int) -> int:
    """Return the seed itself in process 0, and in every other process one that is mixed from the seed and its rank.

    Adding the rank above bit 32 would change nothing: torch's generator on the CPU takes the lower 32 bits of a seed.
    """
    return int(np.random.SeedSequence([seed, rank()]).generate_state(1)[0]) if rank() else seed


def share(count: int) -> slice:
    """Return this process's part of `count` rows; the parts follow each other and differ by at most one row."""
    return slice(count * rank() // process_count(), count * (rank() + 1) // process_count())


def parallel(model: nn.Module, device: Device) -> nn.Module:
    """Wrap the model, keeping its parameters, so that the backward pass averages gradients over the processes.

    On CPUs the sum runs in the order of the ranks, so that a resumed training repeats an uninterrupted one to the bit.
    A model with parameters that no gradient reaches says so in `has_unused_parameters`: they are not waited for.
    """
    if process_count() == 1:
        return model
    unused = bool(getattr(model, "has_unused_parameters", False))
    if device.collectives == "nccl":
        return DistributedDataParallel(model, device_ids=[device.torch_device], find_unused_parameters=unused)
    wrapped = DistributedDataParallel(model, find_unused_parameters=unused)
    wrapped.register_comm_hook(None, lambda _, bucket: _mean_in_order(bucket.buffer()))
    return wrapped


def _mean_in_order(own: Tensor) -> torch.futures.Future[Tensor]:
    """Average the gradients of a bucket [n], process after process.

    gloo's own sum starts at another process for each part of a bucket, and torch arranges the buckets again after the
    first batch: with three processes or more, the first batch after resuming was rounded differently.
    """
    parts = [torch.empty_like(own) for _ in range(process_count())]
    gathering = distributed.all_gather(parts, own, async_op=True).get_future()
    return gathering.then(lambda _: reduce(torch.add, parts) / len(parts))


def mean(tensor: Tensor) -> Tensor:
    """Compute the mean over the processes, without gradient."""
    if process_count() == 1:
        return tensor
    total = tensor.detach().clone()
    distributed.all_reduce(total)
    return total / process_count()


def summed(tensor: Tensor) -> Tensor:
    """Compute the sum over the processes, with gradient.

    Every process then has the same loss. The backward pass gives each process its gradient times the number of
    processes, and `parallel` averages these: together exactly the gradient of one process with the whole batch.
    """
    return tensor if process_count() == 1 else _Sum.apply(tensor)


def weighted_mean(value: Tensor, weight: int) -> Tensor:
    """Compute the mean of all elements from each process's mean of `weight` elements, with gradient (see `summed`)."""
    if process_count() == 1:
        return value
    total = mean(torch.tensor(float(weight), device=value.device)) * process_count()
    return summed(value * (weight / total))


def gathered(tensor: Tensor) -> Tensor:
    """Concatenate the tensors [n, ...] of all processes in the order of their ranks, without gradient; n may differ."""
    if process_count() == 1:
        return tensor
    parts: list[Any] = [None] * process_count()
    distributed.all_gather_object(parts, tensor.cpu())
    return torch.cat(parts).to(tensor.device)


def broadcast_buffers(model: nn.Module) -> None:
    """Give every process the running statistics of process 0, so that all evaluate the same network."""
    if process_count() > 1:
        for buffer in model.buffers():
            distributed.broadcast(buffer, src=0)
