"""The stages of any network, read from one forward pass: what each one is, how large, and where its input comes from.

A stage is the largest module that works at one resolution, or leads from one to the next. No network is known by name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd
from torch import Tensor, nn

from dainet.reporting.network_trace import Call, Trace, is_whole, owners_behind, trace
from dainet.segmentation.networks import parameter_count

__all__ = ["KINDS", "Stage", "find_stages", "network_stages"]

KINDS = ("input", "convolution", "attention", "resizing", "head", "other")
_LEAST, _MOST = 3, 28  # stages that say something, and that can still be read in one drawing
_ATTENTION = re.compile("[Aa]ttention|[Aa]ttn|[Tt]ransformer|Gate$")  # in the name of a module's class


@dataclass(frozen=True)
class Stage:
    """A part of a network or one of its inputs: its kind, its output, and the places of the stages that feed it."""

    name: str
    kind: str  # one of KINDS
    channels: int
    size: tuple[int, int]  # height and width of the output, in pixels or tokens
    level: int  # how often the height of the first input was halved
    parameters: int
    sources: tuple[int, ...]


@dataclass(frozen=True)
class _Group:
    """Modules that make up one stage, by their dotted names; usually one."""

    name: str
    members: tuple[str, ...]


def network_stages(model: nn.Module, *inputs: Tensor) -> pd.DataFrame:
    """List what `draw_network` draws as text: one row per input and stage, in the order of execution.

    Args:
        model: any network; its weights and its mode stay as they are.
        inputs: as in `model(*inputs)`, [B, C, H, W] first; only their shapes count.

    Returns:
        Columns Stage, Kind, Channels, Size (px), Parameters and From (the stages whose output it takes). A last row
        counts the parameters that belong to no stage, such as tables of positions, if there are any.

    Raises:
        InputError: the first input is not a batch of images.
    """
    stages = find_stages(model, *inputs)
    rows = [
        {
            "Stage": stage.name,
            "Kind": stage.kind,
            "Channels": str(stage.channels),
            "Size (px)": f"{stage.size[0]} x {stage.size[1]}",
            "Parameters": stage.parameters,
            "From": ", ".join(stages[i].name for i in stage.sources),
        }
        for stage in stages
    ]
    if rest := parameter_count(model) - sum(stage.parameters for stage in stages):
        rows.append({"Stage": "in no stage", "Kind": "other", "Parameters": rest})
    return pd.DataFrame(rows).fillna("")


def find_stages(model: nn.Module, *inputs: Tensor) -> list[Stage]:
    """Trace a network and return its inputs and stages in the order of execution; see `network_stages`."""
    seen = trace(model, *inputs)
    groups = _with_norms(seen, _choose(model, seen))
    names = _names(seen, groups)
    arguments = [*inspect.signature(model.forward).parameters, *(f"input {i + 1}" for i in range(len(inputs)))]
    stages = [_input(name, seen, shape) for name, (shape, _) in zip(arguments, seen.inputs, strict=False)]
    sources = _sources(seen, groups)
    feeding = {i for own in sources for i in own}
    for name, group, own in zip(names, groups, sources, strict=True):
        kind = _kind(seen, group, joins=len(own) > 1, ends=len(stages) not in feeding)
        stages.append(_stage(name, kind, group, seen, stages[-1]))
    return _ordered(stages, sources)


def _choose(model: nn.Module, seen: Trace) -> list[_Group]:
    """Open modules, those of most resolutions first, until each is a stage or there would be too many."""
    stages = [_Group("", ("",))]
    while True:
        for group in sorted(stages, key=lambda group: len(_inner_levels(seen, group)), reverse=True):
            parts = list(_parts(seen, model.get_submodule(group.name), group.name))
            worth = len(stages) < _LEAST or _inner_levels(seen, group)
            if parts and worth and len(stages) + len(parts) - 1 <= _MOST:
                stages = [other for other in stages if other is not group] + parts
                break
        else:
            return sorted(stages, key=lambda group: min(seen.calls[name].order for name in group.members))


def _parts(seen: Trace, module: nn.Module, name: str) -> Iterator[_Group]:
    """Yield the children with parameters that ran; a list of equal ones, such as a ViT's blocks, is one part."""
    for child_name, child in module.named_children():
        full = f"{name}.{child_name}".removeprefix(".")
        if full in seen.calls and _has_parameters(child):
            yield _Group(full, (full,))
        elif full not in seen.calls:
            parts = list(_parts(seen, child, full))
            together = _Group(full, tuple(member for part in parts for member in part.members))
            alike = len(parts) > 1 and _in_a_row(seen, together) and not _inner_levels(seen, together)
            yield from [together] if alike else parts


def _in_a_row(seen: Trace, group: _Group) -> bool:
    """Say whether no other part with parameters ran between the first and the last of these."""
    inside = _inside(seen, group)
    first, last = (end(call.order for call in inside.values()) for end in (min, max))
    return all(
        name in inside or not _has_parameters(call.module)
        for name, call in seen.calls.items()
        if first < call.order < last
    )


def _inside(seen: Trace, group: _Group) -> dict[str, Call]:
    """Return the calls of the modules with parameters at and below the members of a group."""
    return {
        name: call
        for name, call in seen.calls.items()
        if _has_parameters(call.module)
        and any(name == member or name.startswith(f"{member}.") or not member for member in group.members)
    }


def _inner_levels(seen: Trace, group: _Group) -> set[int]:
    """Return the resolutions at which layers inside work, but those at which the group begins and ends."""
    ends = {seen.level(seen.calls[group.members[0]].shape_in), seen.level(seen.calls[group.members[-1]].shape_out)}
    return {level for call in _layers(seen, group) if (level := seen.level(call.shape_out)) is not None} - ends


def _layers(seen: Trace, group: _Group) -> list[Call]:
    """Return the calls of layers with weights: convolutions, matrices and attention, not norms or biases alone."""
    return [
        call
        for call in _inside(seen, group).values()
        if any(parameter.ndim > 1 for parameter in call.module.parameters(recurse=is_whole(call.module)))
    ]


def _with_norms(seen: Trace, groups: list[_Group]) -> list[_Group]:
    """Count a norm or another layer without weights to the stage before it, if nothing else feeds it."""
    merged: list[_Group] = []
    for i, (group, sources) in enumerate(zip(groups, _sources(seen, groups), strict=True), len(seen.inputs)):
        if merged and not _layers(seen, group) and sources == (i - 1,):
            merged[-1] = replace(merged[-1], members=merged[-1].members + group.members)
        else:
            merged.append(group)
    return merged


def _names(seen: Trace, groups: list[_Group]) -> list[str]:
    """Return the dotted names without what all of them begin with, and how often a module ran if more than once."""
    times = [seen.calls[group.members[0]].times for group in groups]
    names = [group.name.split(".") for group in groups]
    while all(len(name) > 1 for name in names) and len({name[0] for name in names}) == 1:
        names = [name[1:] for name in names]
    return [".".join(name) + (f" ({n} times)" if n > 1 else "") for name, n in zip(names, times, strict=True)]


def _input(name: str, seen: Trace, shape: tuple[int, ...]) -> Stage:
    channels, height, width = seen.size(shape) or (0, 0, 0)
    return Stage(name, "input", channels, (height, width), seen.level(shape) or 0, 0, ())


def _stage(name: str, kind: str, group: _Group, seen: Trace, before: Stage) -> Stage:
    """Describe a group; where its output is no feature map, it is drawn at the size of the stage before."""
    shape = seen.calls[group.members[-1]].shape_out
    channels, *size = seen.size(shape) or (shape[-1] if shape else 0, *before.size)
    level = seen.level(shape)
    parameters = sum(parameter_count(seen.calls[member].module) for member in group.members)
    return Stage(name, kind, channels, (size[0], size[1]), before.level if level is None else level, parameters, ())


def _kind(seen: Trace, group: _Group, joins: bool, ends: bool) -> str:
    """Tell the kind of a stage by its layers and sizes, and by whether it joins several sources and feeds no stage."""
    layers = [call.module for call in _layers(seen, group)]
    first, last = seen.calls[group.members[0]].shape_in, seen.calls[group.members[-1]].shape_out
    if ends and _channels(seen, last) == _channels(seen, seen.shape_out):
        return "head"
    if any(_ATTENTION.search(type(call.module).__name__) for call in _inside(seen, group).values()):
        return "attention"
    if len(layers) == 1:
        resized = seen.level(first) != seen.level(last) and not _overlaps(layers[0])
        if resized or (joins and _is_pointwise(layers[0])):
            return "resizing"
    convolved = sum(parameter_count(layer) for layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d))
    return "convolution" if 2 * convolved > sum(parameter_count(layer) for layer in layers) else "other"


def _channels(seen: Trace, shape: tuple[int, ...]) -> int:
    return (seen.size(shape) or (0,))[0]


def _is_pointwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1))


def _overlaps(layer: nn.Module) -> bool:
    """Say whether a layer is a convolution with steps that are smaller than its kernel."""
    if not isinstance(layer, nn.Conv2d):
        return False
    return any(1 < stride < side for stride, side in zip(layer.stride, layer.kernel_size, strict=True))


def _sources(seen: Trace, groups: list[_Group]) -> list[tuple[int, ...]]:
    """Find for every group which inputs (numbered first) and groups feed it, through the graph of autograd."""
    owners = {node: i for i, (_, node) in enumerate(seen.inputs)}
    for i, group in enumerate(groups, start=len(seen.inputs)):
        for call in _inside(seen, group).values():
            for node in call.given:
                owners.setdefault(node, i)
    return [
        tuple(sorted(owners_behind([node for name in group.members for node in seen.calls[name].taken], owners) - {i}))
        for i, group in enumerate(groups, start=len(seen.inputs))
    ]


def _ordered(stages: list[Stage], sources: list[tuple[int, ...]]) -> list[Stage]:
    """Put every input before the first stage that takes it, drop unused inputs, and number the sources accordingly."""
    inputs = len(stages) - len(sources)
    order: list[int] = []
    for i, own in enumerate(sources, inputs):
        order += [source for source in own if source < inputs and source not in order] + [i]
    places = {i: place for place, i in enumerate(order)}
    fed = dict(enumerate(sources, inputs))
    return [replace(stages[i], sources=tuple(sorted(places[j] for j in fed.get(i, ())))) for i in order]


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None
