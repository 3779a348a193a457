"""The networks of the live page as graphs with plain inputs: images, maps, and numbers that switch heads and skips."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

from torch import Tensor, nn

from dainet.attention.maps import network_maps, token_maps
from dainet.segmentation.networks import DAINet, UNet, paper_network
from dainet.settings import AttentionSettings
from dainet.vit.model import DinoViT, fix_input_size, set_fused_attention, to_vit_input

__all__ = ["DualGraph", "SingleGraph", "UNetGraph", "ViTGraph", "network_graph", "trimmed"]


class ViTGraph(nn.Module):
    """Image [1, 1, H, H] -> attention of CLS on the token grid [1, h, g, g], and maps [1, h, S, S] for a network."""

    def __init__(self, vit: DinoViT, settings: AttentionSettings, vit_size: int, size: int) -> None:
        super().__init__()
        self.vit, self.settings, self.vit_size, self.size = trimmed(vit, vit_size), settings, vit_size, size

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Compute token maps and network maps."""
        tokens = token_maps(self.vit, to_vit_input(image, self.vit_size))
        return tokens, network_maps(tokens, self.size, self.settings, self.vit_size)


class UNetGraph(nn.Module):
    """Image [1, 1, S, S] -> logits [1, C, S, S]."""

    takes: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits."""
        return self.network(image)


class SingleGraph(UNetGraph):
    """Image [1, 1, S, S], maps [1, h, S, S] and heads [h] (1: on, 0: cut to zeros) -> logits [1, C, S, S]."""

    takes = ("image", "maps", "heads")

    def forward(self, image: Tensor, maps: Tensor, heads: Tensor) -> Tensor:  # type: ignore[override]
        """Compute logits."""
        return self.network(image, maps * heads[:, None, None])


class DualGraph(nn.Module):
    """As `SingleGraph`, with skips [4] of the attention encoder, deepest (1/8) first (1: on, 0: cut to zeros).

    This is `dainet.segmentation.cuts.CutNetwork` with its switches as tensors, which can be exported.
    """

    takes = ("image", "maps", "heads", "skips")

    def __init__(self, network: DAINet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, maps: Tensor, heads: Tensor, skips: Tensor) -> Tensor:
        """Compute logits."""
        *features, bottleneck = self.network.attention_encoder(maps * heads[:, None, None])
        kept = [feature * on for feature, on in zip(features, reversed(skips.unbind()), strict=True)]
        return self.network.decode(self.network.image_encoder(image), [*kept, bottleneck])


def network_graph(network: nn.Module) -> UNetGraph | DualGraph:
    """Return the graph of one of the paper's networks.

    Raises:
        InputError: it is another network.
    """
    network = paper_network(network)
    if isinstance(network, DAINet):
        return DualGraph(network)
    return SingleGraph(network) if network.heads else UNetGraph(network)


def trimmed(vit: DinoViT, size: int) -> DinoViT:
    """Return a copy for images of `size` px that lacks what no map needs: values, projection and MLP of its last block.

    Its position embedding is resampled once (`fix_input_size`), and its attention uses plain operators.
    """
    vit = copy.deepcopy(vit)
    fix_input_size(vit, size)
    set_fused_attention(vit, False)
    last: Any = vit.blocks[-1]
    qkv, used = last.attn.qkv, 2 * vit.embed_dim  # queries and keys
    qkv.weight = nn.Parameter(qkv.weight.detach()[:used])
    if qkv.bias is not None:
        qkv.bias = nn.Parameter(qkv.bias.detach()[:used])
    last.attn.proj, last.norm2, last.mlp, vit.norm = (nn.Identity() for _ in range(4))
    return vit
