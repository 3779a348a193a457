"""One forward pass of any network, watched: which modules ran, in which order, on which sizes, and what fed them.

The pass runs on torch's meta device, where tensors have shapes but no numbers: it costs neither time nor memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dainet.errors import InputError

__all__ = ["Call", "Node", "Trace", "is_whole", "owners_behind", "run_on_meta", "trace"]

_WHOLE = re.compile("(Attention|Attn|Gate)$")
_STRETCH = 0.3  # of a feature map against the image, as a logarithm: rounded sizes are kept, other tensors are not
Node = Any  # a node of torch's autograd graph


@dataclass
class Call:
    """The first call of one module: its place in the order of execution, its tensors and their autograd nodes."""

    module: nn.Module
    order: int
    times: int = 0  # of this and later calls
    shape_in: tuple[int, ...] = ()  # of the first tensor
    shape_out: tuple[int, ...] = ()
    taken: list[Node] = field(default_factory=list)  # nodes of all tensors that went in, and came out
    given: list[Node] = field(default_factory=list)


@dataclass
class Trace:
    """The calls of all modules by dotted name, in the order of execution, and the shapes and nodes of the inputs."""

    calls: dict[str, Call]
    inputs: list[tuple[tuple[int, ...], Node]]
    shape_out: tuple[int, ...]

    def size(self, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
        """Read channels, height and width from [B, C, H, W], [B, H, W, C] or tokens [B, N, C]; else None.

        A tensor of another batch size (windows, heads) and a single pixel are no feature map.
        """
        batch, _, height, width = self.inputs[0][0]
        if len(shape) not in (3, 4) or shape[0] != batch:
            return None
        if len(shape) == 3:
            return _grid(shape[1], height / width, shape[2])
        first, last = (shape[1], shape[2], shape[3]), (shape[3], shape[1], shape[2])
        stretch = [abs(math.log(h * width / w / height)) for _, h, w in (first, last)]
        found = last if stretch[1] < stretch[0] else first
        return found if min(stretch) < _STRETCH and found[1] * found[2] > 1 else None

    def level(self, shape: tuple[int, ...]) -> int | None:
        """Return how often the height of the first input was halved, rounded; None if it is no feature map."""
        size = self.size(shape)
        return None if size is None else round(math.log2(self.inputs[0][0][2] / size[1]))


@torch.inference_mode(False)
@torch.enable_grad()
def trace(model: nn.Module, *inputs: Tensor) -> Trace:
    """Run `model(*inputs)` in evaluation mode on the meta device and note the calls of all its modules.

    Raises:
        InputError: the first input is no batch of images.
    """
    if not inputs or inputs[0].ndim != 4:
        found = list(inputs[0].shape) if inputs else "nothing"
        raise InputError(f"inputs of the network: found {found}; expected a batch of images [B, C, H, W] first")
    # Cloned, so that each input is a node of the graph; it must need a gradient, or there is no graph.
    empty = [torch.empty_like(x, device="meta", dtype=torch.float32, requires_grad=True).clone() for x in inputs]
    calls: dict[str, Call] = {}
    with _watched(model, calls):
        output = run_on_meta(model, *empty)
    ordered = dict(sorted(calls.items(), key=lambda item: item[1].order))
    return Trace(ordered, [(tuple(x.shape), x.grad_fn) for x in empty], tuple(next(_tensors(output)).shape))


def run_on_meta(model: nn.Module, *inputs: Tensor) -> Any:
    """Evaluate `model(*inputs)` on tensors without numbers, whatever the model's mode; its weights stay in place."""
    state = {name: nn.Parameter(x.detach().to("meta"), x.requires_grad) for name, x in model.named_parameters()}
    buffers = {name: x.to("meta") for name, x in model.named_buffers()}
    with _evaluating(model):
        return functional_call(model, state | buffers, tuple(x.to("meta") for x in inputs))


def is_whole(module: nn.Module) -> bool:
    """Say whether a module is by its class a layer of attention, inside which windows and pooled maps are no stages."""
    return bool(_WHOLE.search(type(module).__name__))


def owners_behind(nodes: Iterable[Node], owners: Mapping[Node, int]) -> set[int]:
    """Walk back through autograd's graph from nodes to the first ones that have an owner, and return the owners."""
    left, found, visited = list(nodes), set(), set()
    while left:
        node = left.pop()
        if node in owners:
            found.add(owners[node])
        elif node is not None and node not in visited:
            visited.add(node)
            left += [earlier for earlier, _ in node.next_functions]
    return found


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _watched(model: nn.Module, calls: dict[str, Call]) -> Iterator[None]:
    """Note the first call of every module that is not inside a layer of attention while the block runs."""
    hooks, whole = [], tuple(f"{name}." for name, module in model.named_modules() if is_whole(module))
    for name, module in model.named_modules():
        if name.startswith(whole):
            continue

        def before(module: nn.Module, inputs: tuple[Any, ...], named: Mapping[str, Any], name: str = name) -> None:
            tensors = list(_tensors([inputs, named]))
            taken = [x.grad_fn for x in tensors if x.grad_fn]
            calls.setdefault(name, Call(module, len(calls), 0, _shape(tensors), taken=taken)).times += 1

        def after(module: nn.Module, inputs: tuple[Any, ...], output: Any, name: str = name) -> None:
            if calls[name].times == 1:
                tensors = list(_tensors(output))
                calls[name].shape_out = _shape(tensors)
                calls[name].given = [x.grad_fn for x in tensors if x.grad_fn]

        hooks += [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _tensors(value: object) -> Iterator[Tensor]:
    """Yield the tensors in nested lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for item in value:
            yield from _tensors(item)


def _shape(tensors: list[Tensor]) -> tuple[int, ...]:
    return tuple(tensors[0].shape) if tensors else ()


def _grid(tokens: int, aspect: float, channels: int) -> tuple[int, int, int] | None:
    """Find the grid of N tokens for images of an aspect (height / width), without or with one class token."""
    for count in (tokens, tokens - 1):
        height = round(math.sqrt(count * aspect))
        if height and count > 1 and count % height == 0 and math.isclose(height * height, count * aspect, rel_tol=0.1):
            return channels, height, count // height
    return None
