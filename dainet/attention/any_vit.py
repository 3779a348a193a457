"""Attention of any block and any token of any ViT of timm, as the network itself computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from numbers import Integral
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dainet.attention.maps import resize_maps
from dainet.device import choose_device, enough_memory
from dainet.errors import InputError, NonFiniteError
from dainet.vit.any_timm import AnyViT, load_any_vit

__all__ = ["Token", "attention_maps", "attention_rollout", "block_attention", "check_request", "patch_at"]

Token = Literal["cls"] | tuple[int, int]
_OVERSHOOT = 0.5  # beyond [0, 1], as cubic interpolation may leave it; no ViT was trained on larger values


def attention_maps(
    image: np.ndarray,
    vit: str | AnyViT = "tour",
    *,
    block: int = -1,
    token: Token = "cls",
    rollout: bool = False,
    size: int | None = None,
    device: str = "auto",
) -> np.ndarray:
    """Compute where one token of a ViT looks in a picture: a map of every head.

    Args:
        image: [H, W] or [H, W, 3] in [0, 1].
        vit: a name or file as for `dainet.vit.any_timm.load_any_vit`, or what it has loaded.
        block: its number from 0; -1 is the last one.
        token: whose attention: "cls", or row and column of a pixel of the picture, for the patch that holds it.
        rollout: compute the attention rollout from the first block to this one instead, a single map (see
            `attention_rollout`).
        size: shorter side in px of what the ViT sees; by default the size that it was trained on.
        device: as in the settings.

    Returns:
        [heads, H, W] float32 softmax values on the grid of the picture: each patch holds the weight that the token
        gives it. The weights of all patches, CLS and registers add up to 1.

    Raises:
        InputError: a token, block or size that the ViT does not have, another kind of attention, or another image:
            its shape, its type, or values far from [0, 1].
        NonFiniteError: the weights or the image are not finite.
    """
    _check_image(image)
    loaded = load_any_vit(vit) if isinstance(vit, str) else vit
    check_request(loaded, block, token)
    place = choose_device(device).torch_device
    loaded.module.to(place)
    height, width = image.shape[:2]
    shape = loaded.input_shape(height, width, size)
    planes = torch.from_numpy(np.ascontiguousarray(image)).float().reshape(height, width, -1).permute(2, 0, 1)
    if token == "cls":
        query = 0
    else:
        row, column = patch_at(loaded, token, (height, width), shape)
        query = loaded.prefix + row * (shape[1] // loaded.patch[1]) + column
    with enough_memory(f"attention of {shape[0]} x {shape[1]} px", "choose a smaller size"), torch.inference_mode():
        seen = loaded.to_input(planes[None], shape).to(place)
        weights = attention_rollout(loaded, seen, block)[:, None] if rollout else block_attention(loaded, seen, block)
        of_token = weights[:, :, query, loaded.prefix :].cpu()  # [1, h, patches]
    grid = shape[0] // loaded.patch[0], shape[1] // loaded.patch[1]
    return resize_maps(of_token.unflatten(2, grid), (height, width), "nearest-bilinear", shape)[0].numpy()


def block_attention(vit: AnyViT, images: Tensor, block: int = -1) -> Tensor:
    """Compute the softmax attention of every token to all tokens in one block.

    The network itself computes it: its normalization, scale, rotary positions and biases are in it.

    Args:
        vit: the transformer.
        images: [B, 3, H, W] of `AnyViT.to_input`, on its device.
        block: its number from 0; -1 is the last one.

    Returns:
        [B, h, tokens, tokens], queries before keys; each row sums to 1.

    Raises:
        InputError: there is no such block, or it has another kind of attention.
        NonFiniteError: NaN or infinity.
    """
    seen: list[Tensor] = []
    _watch(vit, images, [_number(vit, block)], seen.append)
    return seen[0]


def attention_rollout(vit: AnyViT, images: Tensor, block: int = -1) -> Tensor:
    """Compute the attention rollout [B, tokens, tokens] from the input to the output of one block.

    Of every block, heads are averaged, half of the identity is added to half of the attention for the residual
    connection, and the matrices are multiplied (Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers).

    Args:
        vit, images, block: as for `block_attention`, which says what is raised.
    """
    product: Tensor | None = None

    def multiply(attention: Tensor) -> None:
        nonlocal product
        mean = attention.mean(1)
        step = 0.5 * mean + 0.5 * torch.eye(mean.shape[-1], device=mean.device)
        product = step if product is None else step @ product

    _watch(vit, images, range(_number(vit, block) + 1), multiply)
    assert product is not None
    return product


def check_request(vit: AnyViT, block: int, token: Token) -> None:
    """Check that a ViT has this block and this token, before any image is read.

    Raises:
        InputError: it does not.
    """
    _number(vit, block)
    pixel = token if isinstance(token, tuple | list) else ()
    if token != "cls" and [isinstance(at, Integral) for at in pixel] != [True, True]:
        raise InputError(f'token {token!r}; expected "cls", or row and column of a pixel, such as (40, 60)')
    if token == "cls" and not vit.has_cls:
        raise InputError(f"{vit.name} has no CLS token; choose the patch at a pixel: row and column")


def patch_at(vit: AnyViT, pixel: tuple[int, int], picture: tuple[int, int], seen: tuple[int, int]) -> tuple[int, int]:
    """Return row and column, on the grid of patches, of the patch that holds a pixel of a picture.

    Args:
        vit: gives the sides of a patch.
        pixel: row and column.
        picture: height and width of the picture in px.
        seen: those of what the ViT sees, see `AnyViT.input_shape`.

    Raises:
        InputError: the pixel is not in the picture.
    """
    if not all(0 <= at < side for at, side in zip(pixel, picture, strict=True)):
        raise InputError(f"pixel {pixel} is not in the image of {picture[0]} rows and {picture[1]} columns")
    row, column = (
        at * (side // px) // length for at, side, px, length in zip(pixel, seen, vit.patch, picture, strict=True)
    )
    return row, column


def _check_image(image: np.ndarray) -> None:
    shape = image.shape
    if image.dtype.kind != "f" or 0 in shape or not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
        raise InputError(
            f"image of type {image.dtype} and shape {shape}; expected decimal numbers in [0, 1], [H, W] or [H, W, 3]; "
            "divide those of a picture by 255"
        )
    low, high = float(image.min()), float(image.max())
    if np.isfinite(high - low) and not -_OVERSHOOT <= low <= high <= 1 + _OVERSHOOT:
        raise InputError(
            f"image with values from {low:.4g} to {high:.4g}; expected [0, 1]: divide those of a picture by 255, and "
            "scale those of a scan with dainet.data.preprocessing.normalize"
        )


def _number(vit: AnyViT, block: int) -> int:
    count = len(vit.module.blocks)
    if not -count <= block < count:
        raise InputError(f"{vit.name} has no block {block}; expected 0 to {count - 1}, or -1 for the last one")
    return block % count


def _watch(vit: AnyViT, images: Tensor, blocks: Sequence[int], see: Callable[[Tensor], None]) -> None:
    """Run the network and show the attention [B, h, tokens, tokens] of these blocks, in their order.

    timm's unfused attention hands the softmax to its dropout, which does nothing in evaluation mode.
    """
    with ExitStack() as after:
        for number in blocks:
            layer = _attention_layer(vit, number)
            after.callback(setattr, layer, "fused_attn", getattr(layer, "fused_attn", False))
            layer.fused_attn = False

            def check(_: nn.Module, handed: tuple[Tensor, ...], layer: Any = layer) -> None:
                _check_softmax(vit, layer, handed[0], images)
                see(handed[0])

            after.callback(layer.attn_drop.register_forward_pre_hook(check).remove)
        vit.module.forward_features(images)


def _attention_layer(vit: AnyViT, number: int) -> Any:
    """Find the only attention in a block; some blocks are this layer themselves, as those of ViT-22B."""
    found = [layer for layer in vit.module.blocks[number].modules() if hasattr(layer, "attn_drop")]
    if len(found) != 1 or not isinstance(found[0].attn_drop, nn.Module):
        kind = type(vit.module.blocks[number]).__name__
        raise InputError(f"{vit.name}: block {number} ({kind}) has {len(found)} layers of attention; expected one")
    return found[0]


def _check_softmax(vit: AnyViT, layer: Any, weights: Tensor, images: Tensor) -> None:
    """Refuse attention that is not one softmax per head over the prefix and all patches."""
    if not torch.isfinite(weights).all():
        raise NonFiniteError(f"{vit.name}: non-finite attention (NaN or infinity); check the weights and the image")
    tokens = vit.prefix + (images.shape[-2] // vit.patch[0]) * (images.shape[-1] // vit.patch[1])
    expected = (len(images), layer.num_heads, tokens, tokens)
    if weights.shape != expected or (weights.sum(-1) - 1).abs().max() > 1e-3:
        raise InputError(
            f"{vit.name} has another kind of attention, {type(layer).__name__}: found {tuple(weights.shape)}, expected "
            f"a softmax of {layer.num_heads} heads over all {tokens} tokens, {expected}"
        )
