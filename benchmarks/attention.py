"""Attention maps of ViT-S/16 at 256 px: only the work for the CLS row, compared with the whole forward pass."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import Comparison, compare, product_limit
from dainet.attention.maps import token_maps
from dainet.device import choose_device
from dainet.segmentation.networks import count_flops
from dainet.vit.model import DinoViT, input_size, load_vit, set_fused_attention

__all__ = ["ExplicitAttention", "comparisons"]

_BATCH, _SIDE_PX = 32, 256


class ExplicitAttention:
    """Compute the last block's whole attention matrix, as facebookresearch/dino visualize_attention.py does.

    Plain softmax attention in float32 in all blocks; the last one without its MLP (vision_transformer.py:126-131).
    """

    def __init__(self, vit: DinoViT) -> None:
        copied: Any = copy.deepcopy(vit)
        self.vit = copied
        set_fused_attention(self.vit, False)
        copied.blocks[-1].attn.attn_drop.register_forward_hook(self._keep)

    def __call__(self, images: Tensor) -> Tensor:
        """Compute maps [B, h, H / patch, W / patch] of images [B, 3, H, W]."""
        vit = self.vit
        x = vit.blocks[:-1](vit._pos_embed(vit.patch_embed(images)))
        vit.blocks[-1].attn(vit.blocks[-1].norm1(x))
        side = images.shape[-1] // vit.patch
        return self.attention[:, :, 0, vit.num_prefix_tokens :].unflatten(2, (side, side))

    def _keep(self, module: object, inputs: object, output: Tensor) -> None:
        self.attention = output


@torch.inference_mode()
def comparisons(weights: str, rounds: int = 7) -> Iterator[Comparison]:
    """Compare ours, in the dtype of this hardware and in float32, with the same float32 peer."""
    vit, device = load_vit(weights), choose_device("cpu")
    explicit, size = ExplicitAttention(vit), input_size(vit, _SIDE_PX)
    images = torch.randn(_BATCH, 3, size, size, generator=torch.Generator().manual_seed(0))

    fitted = copy.deepcopy(vit)
    set_fused_attention(fitted, device.fused_attention)

    def plain(model: DinoViT = vit) -> Tensor:
        return torch.cat([token_maps(model, part) for part in images.split(device.vit_batch)])

    def mixed() -> Tensor:
        with device.autocast():
            return plain(fitted)

    expected, flops = explicit(images), count_flops(plain)
    for name, work, dtype, goal in (
        (str(device.autocast_dtype), mixed, device.autocast_dtype, 1.9),
        ("torch.float32", plain, torch.float32, 1.07),
    ):
        error = ((work() - expected).abs().max() / expected.max()).item()
        yield compare(
            f"attention maps, {size} px, {vit.heads} heads, batch {_BATCH}, {name.removeprefix('torch.')}",
            "all 12 blocks, explicit attention, float32",
            work,
            lambda: explicit(images),
            goal,
            f"maps equal to {error:.0e} of their maximum",
            rounds,
            product_limit(flops, dtype),
        )
