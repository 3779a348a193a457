"""TransUNet and its ablations: a ViT, with or without ResNet-50 below and skips, and a cascaded upsampler.

Source: Chen et al. 2021 (arXiv 2102.04306), networks/vit_seg_modeling.py of github.com/Beckschen/TransUNet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from dainet.segmentation.baselines.vit_encoder import PATCH, PUBLISHED, SMALL, Encoder, Sizes

__all__ = [
    "EncoderDecoder",
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
    """The decoder "CUP" and its head: tokens as a map [B, embedding, S/16, S/16] -> logits [B, classes, S, S].

    Args:
        classes: outputs with background.
        sizes: widths; `sizes.decoder` are those of the first convolution and of the four steps.
        skips: whether a step concatenates a skip: three of them, deepest first.
    """

    def __init__(self, classes: int, sizes: Sizes, *, skips: bool) -> None:
        super().__init__()
        skip_channels = (sizes.stages[1], sizes.stages[0], sizes.root, 0) if skips else (0, 0, 0, 0)
        steps = zip(pairwise(sizes.decoder), skip_channels, strict=True)
        self.skips = skips
        self.first = _conv(sizes.embedding, sizes.decoder[0])
        self.up = nn.UpsamplingBilinear2d(scale_factor=2)  # align_corners=True
        self.steps = nn.ModuleList(nn.Sequential(_conv(a + skip, b), _conv(b, b)) for (a, b), skip in steps)
        self.head = nn.Conv2d(sizes.decoder[-1], classes, kernel_size=3, padding=1)

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        x = self.first(x)
        for level, step in enumerate(self.steps):
            skip = skips[level : level + 1] if self.skips else ()
            x = step(torch.cat([self.up(x), *skip], dim=1))
        return self.head(x)


class PlainUpsampler(nn.Module):
    """A 1x1 head and one bilinear upsampling by 16: [B, embedding, S/16, S/16] -> logits [B, classes, S, S]."""

    def __init__(self, classes: int, sizes: Sizes) -> None:
        super().__init__()
        self.head = nn.Conv2d(sizes.embedding, classes, kernel_size=1)
        self.up = nn.UpsamplingBilinear2d(scale_factor=PATCH)

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        return self.up(self.head(x))


class EncoderDecoder(nn.Module):
    """A ViT, perhaps on a ResNet, and a decoder: image [B, C, S, S] -> logits [B, classes, S, S], C = 1 or 3."""

    def __init__(self, encoder: Encoder, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.pretrained_name = encoder.pretrained_name

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, S, S] of images [B, C, S, S]; maps are ignored.

        Raises:
            InputError: C is neither 1 nor 3, or S is not the size for which the network was built.
        """
        return self.decoder(*self.encoder(image))

    def load_encoder(self, state: Mapping[str, Tensor]) -> list[str]:
        """Copy pre-trained tensors: see `Encoder.load`; the decoder stays random."""
        return self.encoder.load(state)


def _with_cup(classes: int, image_size: int, sizes: Sizes, *, hybrid: bool, skips: bool = False) -> EncoderDecoder:
    return EncoderDecoder(Encoder(image_size, sizes, hybrid=hybrid), CascadedUpsampler(classes, sizes, skips=skips))


def vit(classes: int = 4, image_size: int = 224) -> EncoderDecoder:
    """Build the row "ViT" of Table 1: ViT-B/16 with plain bilinear upsampling."""
    return EncoderDecoder(Encoder(image_size, PUBLISHED, hybrid=False), PlainUpsampler(classes, PUBLISHED))


def vit_small(classes: int = 4, image_size: int = 64) -> EncoderDecoder:
    """Build the reduced form of `vit`."""
    return EncoderDecoder(Encoder(image_size, SMALL, hybrid=False), PlainUpsampler(classes, SMALL))


def vit_cup(classes: int = 4, image_size: int = 224) -> EncoderDecoder:
    """Build the row "ViT-CUP" of Table 2: ViT-B/16 with the cascaded upsampler."""
    return _with_cup(classes, image_size, PUBLISHED, hybrid=False)


def vit_cup_small(classes: int = 4, image_size: int = 64) -> EncoderDecoder:
    """Build the reduced form of `vit_cup`."""
    return _with_cup(classes, image_size, SMALL, hybrid=False)


def r50_vit_cup(classes: int = 4, image_size: int = 224) -> EncoderDecoder:
    """Build the row "R50 ViT" of Tables 1 and 2: ResNet-50 and ViT-B with the cascaded upsampler, no skips."""
    return _with_cup(classes, image_size, PUBLISHED, hybrid=True)


def r50_vit_cup_small(classes: int = 4, image_size: int = 64) -> EncoderDecoder:
    """Build the reduced form of `r50_vit_cup`."""
    return _with_cup(classes, image_size, SMALL, hybrid=True)


def transunet(classes: int = 4, image_size: int = 224) -> EncoderDecoder:
    """Build TransUNet as published: ResNet-50, ViT-B and the cascaded upsampler with three skips."""
    return _with_cup(classes, image_size, PUBLISHED, hybrid=True, skips=True)


def transunet_small(classes: int = 4, image_size: int = 64) -> EncoderDecoder:
    """Build the reduced form of `transunet`."""
    return _with_cup(classes, image_size, SMALL, hybrid=True, skips=True)
