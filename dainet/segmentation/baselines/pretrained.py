"""Pre-trained tensors copied into a network under its own names; nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import shorten

import torch
from torch import Tensor, nn

from dainet.errors import InputError

__all__ = ["copy_tensors"]


def copy_tensors(model: nn.Module, state: Mapping[str, Tensor], sources: Mapping[str, str]) -> list[str]:
    """Copy tensors of `state` into parameters and buffers of `model`.

    Args:
        model: the network; its tensors outside `sources` stay as they are.
        state: pre-trained tensors by the names of their library.
        sources: name of a tensor in `model` -> name of its source in `state`; a source may serve several tensors.

    Returns:
        The names in `state` that no tensor of the network took, sorted.

    Raises:
        InputError: a source is missing or has another shape; nothing has been copied then.
    """
    own = model.state_dict()
    missing = sorted({source for source in sources.values() if source not in state})
    if missing:
        found = shorten(", ".join(missing), 300, placeholder=" ...")
        raise InputError(f"pre-trained weights lack {len(missing)} tensors that the network needs: {found}")
    for name, source in sources.items():
        if own[name].shape != state[source].shape:
            expected = f"expected {tuple(own[name].shape)}, as {name} in the network"
            raise InputError(f"pre-trained weights: {source} has the shape {tuple(state[source].shape)}; {expected}")
    with torch.no_grad():
        for name, source in sources.items():
            own[name].copy_(state[source])
    return sorted(state.keys() - set(sources.values()))
