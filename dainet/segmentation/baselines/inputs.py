"""What a network with three input channels, or of a fixed size, asks of an image [B, C, H, W]."""

from __future__ import annotations

from torch import Tensor

from dainet.errors import InputError

__all__ = ["check_size", "three_channels"]


def three_channels(image: Tensor) -> Tensor:
    """Repeat the channel of a gray image [B, 1, H, W] to [B, 3, H, W]; three channels stay as they are.

    Raises:
        InputError: the image has another number of channels.
    """
    channels = image.shape[1]
    if channels not in (1, 3):
        raise InputError(f"image of {channels} channels; expected 1, which is repeated, or 3")
    return image.expand(-1, 3, -1, -1)


def check_size(image: Tensor, image_size: int) -> None:
    """Refuse an image that is not the square of `image_size` px for which a network was built.

    Raises:
        InputError: the message names the setting to change.
    """
    height, width = image.shape[-2:]
    if (height, width) != (image_size, image_size):
        expected = f"expected {image_size} x {image_size} px, for which this network was built"
        raise InputError(f"image of {height} x {width} px; {expected}: set segmentation.image_size to the image's side")
