"""The dual encoder fed with the ViT's features instead of its attention maps: what the second encoder sees differs."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from dainet.segmentation.networks import DAINet

__all__ = ["DualFeatures"]


class DualFeatures(nn.Module):
    """`dual-1111` whose second encoder gets as many channels of features as it would get maps.

    `forward(image [B, C, H, W], features [B, D, gh, gw])` -> logits [B, classes, H, W]. A trained 1x1 convolution
    reduces the D features of a token to `heads` channels, which are resized bilinearly to the image. On the token grid
    that costs next to nothing, so this network costs what `dual-1111` does. The paper has no such row.

    Args:
        in_channels: image channels C.
        heads: channels of the second encoder, the number of maps that it replaces.
        classes: outputs with background.
        width: channels of the first level.
        feature_channels: D, the width of the ViT.
    """

    def __init__(self, in_channels: int, heads: int, classes: int, width: int, feature_channels: int) -> None:
        super().__init__()
        self.heads = heads
        self.reduce = nn.Conv2d(feature_channels, heads, kernel_size=1)
        self.dual = DAINet(in_channels, heads, classes, width)

    def forward(self, image: Tensor, features: Tensor | None) -> Tensor:
        """Compute logits [B, classes, H, W] from the image and the features of its tokens."""
        if features is None:
            raise ValueError("features: found none; expected those of the image's tokens [B, D, gh, gw]")
        size = (int(image.shape[-2]), int(image.shape[-1]))
        reduced = functional.interpolate(self.reduce(features), size=size, mode="bilinear", align_corners=False)
        return self.dual(image, reduced)
