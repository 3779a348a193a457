"""The architecture of a ViT, from the shapes of its tensors; what shapes do not show is asked for, never guessed."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from textwrap import shorten
from typing import Any

from torch import Tensor

from dainet.errors import InputError

__all__ = ["agreed_heads", "architecture_of"]

log = logging.getLogger(__name__)
_AXES = {"cls_token": 3, "pos_embed": 3, "patch_embed.proj.weight": 4, "blocks.0.mlp.fc1.weight": 2}
# Width, blocks and width of the MLP -> name and heads. Sources: ViT paper (Table 1: B, L, H), DeiT (Ti, S), Zhai et al.
# 2022 (g, G), Alabdulmohsin et al. 2023 (SoViT).
_KNOWN = {
    (192, 12, 768): ("ViT-Ti", 3),
    (384, 12, 1536): ("ViT-S", 6),
    (768, 12, 3072): ("ViT-B", 12),
    (1024, 24, 4096): ("ViT-L", 16),
    (1152, 27, 4304): ("SoViT-400m", 16),
    (1280, 32, 5120): ("ViT-H", 16),
    (1408, 40, 6144): ("ViT-g", 16),
    (1664, 48, 8192): ("ViT-G", 16),
}


def architecture_of(state: Mapping[str, Tensor], heads: int | None, origin: str) -> dict[str, Any]:
    """Derive the arguments of `dainet.vit.model.DinoViT` from tensors; strict loading reports whatever does not fit.

    Args:
        state: tensors with timm's names.
        heads: attention heads, which no shape shows; None takes those of the known ViT of this width, depth and MLP.
        origin: name of the weights, for messages.

    Raises:
        InputError: not the tensors of a ViT with CLS token, or a number of heads that is unknown or does not fit.
    """
    _check_axes(state, origin)
    width, patch = state["cls_token"].shape[-1], state["patch_embed.proj.weight"].shape[-1]
    blocks = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    hidden = state["blocks.0.mlp.fc1.weight"].shape[0]
    heads = heads or _known_heads((width, blocks, hidden), origin)
    if width % heads:
        raise InputError(f"{origin}: its width {width} is not a multiple of {heads} heads; correct vit.heads")
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    side, no_embed_class = _grid_side(state["pos_embed"].shape[1], 1 + registers, origin)
    return {
        "img_size": side * patch,
        "patch_size": patch,
        "embed_dim": width,
        "depth": blocks,
        "num_heads": heads,
        "mlp_ratio": (hidden + 0.5) / width,  # timm rounds width * ratio down
        "qkv_bias": "blocks.0.attn.qkv.bias" in state,
        "qk_norm": "blocks.0.attn.q_norm.weight" in state,
        "init_values": 1.0 if "blocks.0.ls1.gamma" in state else None,
        "reg_tokens": registers,
        "no_embed_class": no_embed_class,
    }


def agreed_heads(stored: int | None, given: int | None, origin: str) -> int | None:
    """Return the number of heads that the weights store, or the one that is given; None where neither says it.

    Raises:
        InputError: both are there and differ.
    """
    if stored and given and stored != given:
        raise InputError(f"{origin} has {stored} heads, and vit.heads says {given}; leave vit.heads out")
    return stored or given


def _check_axes(state: Mapping[str, Tensor], origin: str) -> None:
    missing = [name for name in _AXES if name not in state]
    if missing:
        found = shorten(", ".join(list(state)[:5]), 200)
        raise InputError(f"{origin}: found {found} ... without {', '.join(missing)}; expected a ViT with CLS token")
    for name, axes in {**_AXES, "reg_token": 3}.items():
        shape = tuple(state[name].shape) if name in state else (1,) * axes
        if len(shape) != axes or 0 in shape:
            raise InputError(f"{origin}: {name} has the shape {shape}; expected {axes} axes, none of length 0")


def _known_heads(shape: tuple[int, int, int], origin: str) -> int:
    if shape not in _KNOWN:
        width, blocks, hidden = shape
        raise InputError(
            f"{origin}: the number of its attention heads is not stored, and no known ViT has {blocks} blocks of width "
            f"{width} with MLPs of width {hidden}; set vit.heads to the number of its model, "
            "or name it with --model of dainet attention"
        )
    name, heads = _KNOWN[shape]
    log.info("%s: read with the %d heads of %s; set vit.heads if its model has another number", origin, heads, name)
    return heads


def _grid_side(positions: int, prefix: int, origin: str) -> tuple[int, bool]:
    """Return the side of the position grid, and whether it lacks CLS and registers (DINOv2 with registers)."""
    for tokens, no_embed_class in ((positions - prefix, False), (positions, True)):
        side = math.isqrt(max(tokens, 0))
        if side and side**2 == tokens:
            return side, no_embed_class
    raise InputError(f"{origin}: {positions} position embeddings for {prefix} prefix tokens; expected a square grid")
