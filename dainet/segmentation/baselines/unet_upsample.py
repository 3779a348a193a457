"""The U-Net and the attention U-Net with which Swin-Unet's authors compared: upsampling by nearest neighbor.

Source: Ronneberger et al. 2015 (arXiv 1505.04597) and Oktay et al. 2018 (arXiv 1804.03999), in the form of
Models.py of github.com/bigmb/Unet-Segmentation-Pytorch-Nest-of-Unets.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from dainet.segmentation.baselines.inputs import check_channels, check_multiple

__all__ = ["Gate", "UNetUpsample", "attention_unet", "conv_block", "unet_upsample", "upsample"]

_LEVELS = 5


def conv_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Build two 3x3 convolutions with bias, each with batch norm and ReLU, at unchanged size."""
    return nn.Sequential(*_conv(in_channels, out_channels), *_conv(out_channels, out_channels))


def upsample(in_channels: int, out_channels: int) -> nn.Sequential:
    """Build an upsampling to twice the size: nearest neighbor, 3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(nn.Upsample(scale_factor=2), *_conv(in_channels, out_channels))


def _conv(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


class Gate(nn.Module):
    """Attention gate: a skip [B, C, H, W] times a map [B, 1, H, W] between 0 and 1 (Oktay et al. 2018, Fig. 2).

    The map is computed from the skip and from what the decoder has at this level, [B, D, H, W], with `inner` channels.
    """

    def __init__(self, decoded_channels: int, skip_channels: int, inner: int) -> None:
        super().__init__()
        self.from_decoder = nn.Sequential(nn.Conv2d(decoded_channels, inner, 1), nn.BatchNorm2d(inner))
        self.from_skip = nn.Sequential(nn.Conv2d(skip_channels, inner, 1), nn.BatchNorm2d(inner))
        self.to_map = nn.Sequential(nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, decoded: Tensor, skip: Tensor) -> Tensor:
        """Compute the gated skip [B, C, H, W]."""
        return skip * self.to_map(torch.relu(self.from_decoder(decoded) + self.from_skip(skip)))


class UNetUpsample(nn.Module):
    """U-Net of five levels with upsampling by nearest neighbor and biases before batch norm.

    Image [B, C, H, W] -> logits [B, classes, H, W]; H and W are multiples of 16. `width` is the number of channels of
    the first level, 64 as published; they double at each level. `gated` puts an attention gate on each skip.
    """

    def __init__(self, in_channels: int, classes: int, width: int, *, gated: bool) -> None:
        super().__init__()
        self.in_channels = in_channels
        widths = [width * 2**level for level in range(_LEVELS)]
        steps = list(pairwise(reversed(widths)))
        self.encoder = nn.ModuleList(conv_block(a, b) for a, b in pairwise([in_channels, *widths]))
        self.pool = nn.MaxPool2d(2)
        self.ups = nn.ModuleList(upsample(a, b) for a, b in steps)
        self.gates = nn.ModuleList(Gate(b, b, max(b // 2, 1)) for _, b in steps if gated)
        self.decoder = nn.ModuleList(conv_block(2 * b, b) for _, b in steps)
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, H, W] of images [B, C, H, W]; maps are ignored.

        Raises:
            InputError: the image has other channels or sides than the network can take.
        """
        check_channels(image, self.in_channels)
        check_multiple(image.shape[-2], image.shape[-1], 2 ** (_LEVELS - 1))
        x, skips = self.encoder[0](image), []
        for block in self.encoder[1:]:
            skips.append(x)
            x = block(self.pool(x))
        for level, (up, block) in enumerate(zip(self.ups, self.decoder, strict=True)):
            x, skip = up(x), skips.pop()
            if self.gates:
                skip = self.gates[level](x, skip)
            x = block(torch.cat([skip, x], dim=1))
        return self.head(x)


def unet_upsample(in_channels: int = 1, classes: int = 4, width: int = 64) -> UNetUpsample:
    """Build the U-Net without gates."""
    return UNetUpsample(in_channels, classes, width, gated=False)


def attention_unet(in_channels: int = 1, classes: int = 4, width: int = 64) -> UNetUpsample:
    """Build the U-Net whose skips pass an attention gate before they are concatenated."""
    return UNetUpsample(in_channels, classes, width, gated=True)
