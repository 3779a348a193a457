"""Three changes of a few lines to the U-Net, of which a reader of notebook 9 tries one; one of them is a placebo."""

from __future__ import annotations

import torch
from torch import Tensor

from dainet.segmentation.networks import UNet

__all__ = ["Gate", "Order", "Position"]


class Order(UNet):
    """The decoder reads what comes from below first, and the skip after it."""

    def __init__(self, in_channels: int, classes: int, width: int) -> None:
        super().__init__(in_channels, 0, classes, width)

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]  # it gets no maps
        """Compute logits [B, classes, H, W] from an image [B, C, H, W]."""
        *skips, x = self.encoder(image)
        for up, block, skip in zip(self.decoder.ups, self.decoder.blocks, reversed(skips), strict=True):
            x = up(x)
            x = block(torch.cat([x, skip], dim=1))
        return self.head(x)


class Gate(UNet):
    """What comes from below says how much of the skip gets through: attention in one line."""

    def __init__(self, in_channels: int, classes: int, width: int) -> None:
        super().__init__(in_channels, 0, classes, width)

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]  # it gets no maps
        """Compute logits [B, classes, H, W] from an image [B, C, H, W]."""
        *skips, x = self.encoder(image)
        for up, block, skip in zip(self.decoder.ups, self.decoder.blocks, reversed(skips), strict=True):
            x = up(x)
            x = block(torch.cat([skip * torch.sigmoid(x), x], dim=1))
        return self.head(x)


class Position(UNet):
    """The network is told where it looks: two more channels hold the row and the column of every pixel."""

    def __init__(self, in_channels: int, classes: int, width: int) -> None:
        super().__init__(in_channels + 2, 0, classes, width)

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]  # it gets no maps
        """Compute logits [B, classes, H, W] from an image [B, C, H, W]."""
        sides = (torch.linspace(-1, 1, side, device=image.device) for side in image.shape[2:])
        where = torch.stack(torch.meshgrid(*sides, indexing="ij")).expand(len(image), -1, -1, -1)
        return super().forward(torch.cat([image, where], dim=1))
