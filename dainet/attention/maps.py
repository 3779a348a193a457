"""Attention in the last block: that of CLS is one map per head, on the token grid, resized and scaled on use."""

from __future__ import annotations

from typing import Literal

import torch
from timm.models.vision_transformer import Attention, Block
from torch import Tensor
from torch.nn import functional as F

from dainet.errors import InputError
from dainet.settings import AttentionSettings
from dainet.vit.model import DinoViT

__all__ = [
    "attention_matrix",
    "cls_attention",
    "last_block_input",
    "network_maps",
    "normalize_maps",
    "resize_maps",
    "token_maps",
]


def cls_attention(vit: DinoViT, images: Tensor) -> Tensor:
    """Compute the softmax attention of the CLS token to all tokens in the last block (paper section 3.2).

    The result equals row 0 of `get_last_selfattention`, as facebookresearch/dino visualize_attention.py calls it. Only
    the query of the CLS token is computed, without values, projection and MLP of that block. The softmax is in float32.

    Args:
        vit: the transformer; in evaluation mode unless drop path is wanted.
        images: [B, 3, H, W], ImageNet-normalized, H and W multiples of the patch.

    Returns:
        [B, h, tokens] float32, tokens = CLS, registers, then patches row by row; each row sums to 1.

    Raises:
        InputError: the last block is not timm's standard one.
        ValueError: the image is not a multiple of the patch.
    """
    x = last_block_input(vit, images)
    return _rows(_last_block(vit)[1], x[:, :1], x).squeeze(2)


def attention_matrix(vit: DinoViT, images: Tensor) -> Tensor:
    """Compute the softmax attention of every token to all tokens in the last block.

    Row 0 is `cls_attention`; the row of a patch says where this patch looks.

    Args:
        vit, images: as for `cls_attention`, which says what is raised.

    Returns:
        [B, h, tokens, tokens] float32, queries before keys; each row sums to 1.
    """
    x = last_block_input(vit, images)
    return _rows(_last_block(vit)[1], x, x)


def last_block_input(vit: DinoViT, images: Tensor) -> Tensor:
    """Compute the normalized tokens [B, tokens, D] from which the last block makes its queries and keys.

    Args:
        vit, images: as for `cls_attention`, which says what is raised.
    """
    block, _ = _last_block(vit)
    _check_size(vit, images)
    x = vit.patch_drop(vit._pos_embed(vit.patch_embed(images)))
    return block.norm1(vit.blocks[:-1](vit.norm_pre(x)))


def token_maps(vit: DinoViT, images: Tensor) -> Tensor:
    """Compute the CLS attention to the patches only, on the token grid, not renormalized (docs/protocol.md#4.3).

    Args:
        vit: the transformer.
        images: [B, 3, H, W], as for `cls_attention`.

    Returns:
        [B, h, H / patch, W / patch] float32; each map sums to at most 1.
    """
    attention = cls_attention(vit, images)[:, :, vit.num_prefix_tokens :]
    return attention.unflatten(2, (images.shape[-2] // vit.patch, images.shape[-1] // vit.patch))


def resize_maps(
    maps: Tensor,
    size: int | tuple[int, int],
    mode: Literal["nearest-bilinear", "bilinear"],
    vit_size_px: int | tuple[int, int],
) -> Tensor:
    """Resize token maps [B, h, gh, gw] to [B, h, size, size] float32 (paper section 4.2; docs/protocol.md#5.18).

    Args:
        maps: on the token grid.
        size: side in px, or height and width.
        mode: "nearest-bilinear" repeats each token over its patch, up to the size of the ViT's input, and then resizes
            bilinearly to `size`, as DINO's visualization and then the paper do; "bilinear" resizes the grid directly.
        vit_size_px: side of the ViT's input, or height and width; 0 where no ViT has made the maps, which are then
            resized bilinearly in any case.
    """
    maps = maps.float()
    if mode == "nearest-bilinear" and vit_size_px:
        maps = F.interpolate(maps, size=vit_size_px, mode="nearest")
    if maps.shape[-2:] == ((size, size) if isinstance(size, int) else size):
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def normalize_maps(maps: Tensor, mode: Literal["minmax", "tokens"], tokens: int) -> Tensor:
    """Scale raw softmax maps [B, h, H, W] for the networks (docs/protocol.md#5.19).

    Args:
        maps: values of about 1 / tokens.
        mode: "minmax" stretches each map to [0, 1] and a constant map becomes 0; "tokens" multiplies by `tokens`.
        tokens: number of patches, so that uniform attention becomes 1.
    """
    if mode == "tokens":
        return maps * tokens
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    span = high - low
    return (maps - low).div_(
        torch.where(span > 0, span, torch.ones_like(span))
    )  # in place: a second large tensor is slow


def network_maps(token_maps: Tensor, size: int, settings: AttentionSettings, vit_size_px: int) -> Tensor:
    """Compute the maps [B, h, size, size] that a network takes: token maps [B, h, gh, gw], resized, then scaled.

    Args:
        token_maps: as `token_maps` returns them.
        size: side of the network's image in px.
        settings: how maps are resized and scaled, such as `load_settings("tour").attention`.
        vit_size_px: side of the image that the ViT saw, in px.
    """
    tokens = token_maps.shape[-2] * token_maps.shape[-1]
    return normalize_maps(resize_maps(token_maps, size, settings.resize, vit_size_px), settings.normalization, tokens)


def _last_block(vit: DinoViT) -> tuple[Block, Attention]:
    block = vit.blocks[-1]
    if type(block) is not Block or type(block.attn) is not Attention:
        kind = type(getattr(block, "attn", block)).__name__
        raise InputError(f"the last block is of type {kind}; expected timm's standard Block with Attention")
    return block, block.attn


def _check_size(vit: DinoViT, images: Tensor) -> None:
    height, width = images.shape[-2:]
    if height % vit.patch or width % vit.patch:
        raise ValueError(
            f"image of {height} x {width} px; expected multiples of the patch size, {vit.patch} px; "
            "resize with dainet.vit.model.input_size and to_vit_input"
        )


def _rows(attn: Attention, asking: Tensor, x: Tensor) -> Tensor:
    """Compute the softmax [B, h, queries, tokens] of the queries of asking [B, queries, D] and the keys of x."""
    dim, weight, bias = attn.num_heads * attn.head_dim, attn.qkv.weight, attn.qkv.bias
    query_bias, key_bias = (None, None) if bias is None else (bias[:dim], bias[dim : 2 * dim])
    query = F.linear(asking, weight[:dim], query_bias)
    key = F.linear(x, weight[dim : 2 * dim], key_bias)
    query, key = (t.unflatten(2, (attn.num_heads, attn.head_dim)).transpose(1, 2) for t in (query, key))
    query, key = attn.q_norm(query), attn.k_norm(key)  # [B, h, queries, d], [B, h, tokens, d]
    with torch.autocast(x.device.type, enabled=False):
        logits = (query.float() * attn.scale) @ key.float().transpose(-2, -1)
        return logits.softmax(-1)
