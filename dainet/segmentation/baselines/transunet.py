"""TransUNet and its ablations: a ViT, with or without ResNet-50 below and skips, and a cascaded upsampler.

Source: Chen et al. 2021 (arXiv 2102.04306), networks/vit_seg_modeling.py of github.com/Beckschen/TransUNet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dainet.segmentation.baselines.vit_encoder import PATCH, PUBLISHED, SMALL, Encoder, Sizes

__all__ = [
    "TransUNet",
    "r50_vit_cup",
    "r50_vit_cup_small",
    "transunet",
    "transunet_small",
    "vit",
    "vit_cup",
    "vit_cup_small",
    "vit_small",
]


def _conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Build a 3x3 convolution without bias, batch norm and ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


class CascadedUpsampler(nn.Module):
    """The decoder "CUP": tokens as a map [B, embedding, S/16, S/16] -> [B, channels[-1], S, S].

    Args:
        embedding: channels of the tokens.
        channels: of the first convolution and of the four steps (upsampling to twice the size, two convolutions).
        skip_channels: channels that are concatenated at each step, 0 for none.
    """

    def __init__(self, embedding: int, channels: Sequence[int], skip_channels: Sequence[int]) -> None:
        super().__init__()
        self.first = _conv(embedding, channels[0])
        self.up = nn.UpsamplingBilinear2d(scale_factor=2)  # align_corners=True
        self.steps = nn.ModuleList(
            nn.Sequential(_conv(below + skip, out), _conv(out, out))
            for below, out, skip in zip(channels, channels[1:], skip_channels, strict=False)
        )

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Decode with skips, deepest first; there may be fewer skips than steps."""
        x = self.first(x)
        for level, step in enumerate(self.steps):
            x = step(torch.cat([self.up(x), *skips[level : level + 1]], dim=1))
        return x


class TransUNet(nn.Module):
    """Encoder, cascaded upsampler, 3x3 head; image [B, C, S, S] -> logits [B, classes, S, S], C = 1 or 3.

    Args:
        classes: outputs with background.
        image_size: S, a multiple of 16.
        sizes: widths and depths.
        hybrid: whether the ViT sees the features of a ResNet-50 rather than the image.
        skips: whether the features of the ResNet-50 reach the decoder.
    """

    def __init__(self, classes: int, image_size: int, sizes: Sizes, *, hybrid: bool, skips: bool) -> None:
        super().__init__()
        self.encoder = Encoder(image_size, sizes, hybrid=hybrid)
        self.skips = skips
        skip_channels = (sizes.stages[1], sizes.stages[0], sizes.root, 0) if skips else (0, 0, 0, 0)
        self.decoder = CascadedUpsampler(sizes.embedding, sizes.decoder, skip_channels)
        self.head = nn.Conv2d(sizes.decoder[-1], classes, kernel_size=3, padding=1)

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, S, S] of images [B, C, S, S]; maps are ignored."""
        x, skips = self.encoder(image)
        return self.head(self.decoder(x, skips if self.skips else ()))

    def load_encoder(self, state: Mapping[str, Tensor]) -> list[str]:
        """Copy pre-trained tensors: see `Encoder.load`; the decoder stays random."""
        return self.encoder.load(state)


class PlainViT(nn.Module):
    """ViT, 1x1 head and one bilinear upsampling by 16; image [B, C, S, S] -> logits [B, classes, S, S], C = 1 or 3."""

    def __init__(self, classes: int, image_size: int, sizes: Sizes) -> None:
        super().__init__()
        self.encoder = Encoder(image_size, sizes, hybrid=False)
        self.head = nn.Conv2d(sizes.embedding, classes, kernel_size=1)
        self.up = nn.UpsamplingBilinear2d(scale_factor=PATCH)

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, S, S] of images [B, C, S, S]; maps are ignored."""
        tokens, _ = self.encoder(image)
        return self.up(self.head(tokens))

    def load_encoder(self, state: Mapping[str, Tensor]) -> list[str]:
        """Copy pre-trained tensors: see `Encoder.load`; the head stays random."""
        return self.encoder.load(state)


def vit(classes: int = 4, image_size: int = 224) -> PlainViT:
    """Build the row "ViT" of Table 1: ViT-B/16 with plain bilinear upsampling."""
    return PlainViT(classes, image_size, PUBLISHED)


def vit_small(classes: int = 4, image_size: int = 64) -> PlainViT:
    """Build the reduced form of `vit`."""
    return PlainViT(classes, image_size, SMALL)


def vit_cup(classes: int = 4, image_size: int = 224) -> TransUNet:
    """Build the row "ViT-CUP" of Table 2: ViT-B/16 with the cascaded upsampler."""
    return TransUNet(classes, image_size, PUBLISHED, hybrid=False, skips=False)


def vit_cup_small(classes: int = 4, image_size: int = 64) -> TransUNet:
    """Build the reduced form of `vit_cup`."""
    return TransUNet(classes, image_size, SMALL, hybrid=False, skips=False)


def r50_vit_cup(classes: int = 4, image_size: int = 224) -> TransUNet:
    """Build the row "R50 ViT" of Tables 1 and 2: ResNet-50 and ViT-B with the cascaded upsampler, no skips."""
    return TransUNet(classes, image_size, PUBLISHED, hybrid=True, skips=False)


def r50_vit_cup_small(classes: int = 4, image_size: int = 64) -> TransUNet:
    """Build the reduced form of `r50_vit_cup`."""
    return TransUNet(classes, image_size, SMALL, hybrid=True, skips=False)


def transunet(classes: int = 4, image_size: int = 224) -> TransUNet:
    """Build TransUNet as published: ResNet-50, ViT-B and the cascaded upsampler with three skips."""
    return TransUNet(classes, image_size, PUBLISHED, hybrid=True, skips=True)


def transunet_small(classes: int = 4, image_size: int = 64) -> TransUNet:
    """Build the reduced form of `transunet`."""
    return TransUNet(classes, image_size, SMALL, hybrid=True, skips=True)
