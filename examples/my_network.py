"""A network of your own, to begin from: the U-Net with one change, and the same change with attention maps.

dainet stage train --network examples/my_network.py:gated --seed 0
"""

import torch
from torch import Tensor, nn

from dainet.segmentation.networks import UNet


class GatedUNet(UNet):
    """U-Net whose deepest features pass a gate: each channel is scaled by a number from 0 to 1 (SENet, 2018)."""

    def __init__(self, in_channels: int, heads: int, classes: int, width: int) -> None:
        super().__init__(in_channels, heads, classes, width)
        deepest = 16 * width
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(deepest, deepest, kernel_size=1), nn.Sigmoid())

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, H, W] from image [B, C, H, W] and, where given, maps [B, heads, H, W]."""
        *skips, deepest = self.encoder(image if maps is None else torch.cat([image, maps], dim=1))
        return self.head(self.decoder(deepest * self.gate(deepest), [[skip] for skip in reversed(skips)]))


def gated(in_channels: int, classes: int, width: int) -> nn.Module:
    """Build the network that takes the image alone; it is called with those of the kit's arguments that it names."""
    return GatedUNet(in_channels, 0, classes, width)


def gated_with_maps(in_channels: int, heads: int, classes: int, width: int) -> nn.Module:
    """Build the network that takes image and maps: it names `heads`, so it gets them."""
    return GatedUNet(in_channels, heads, classes, width)
