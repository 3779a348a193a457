"""What a network asks of the channels and the size of an image [B, C, H, W]."""

from __future__ import annotations

from torch import Tensor

from dainet.errors import InputError

__all__ = ["check_channels", "check_multiple", "check_size", "three_channels"]


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


def check_channels(image: Tensor, channels: int) -> None:
    """Refuse an image [B, C, H, W] of another number of channels than the network was built for.

    Raises:
        InputError: the message shows both numbers.
    """
    if image.shape[1] != channels:
        raise InputError(f"image of {image.shape[1]} channels; expected {channels}, as given to build(in_channels=...)")


def check_multiple(height: int, width: int, step: int) -> None:
    """Refuse an image size, in pixels, that is not a multiple of the network's step.

    Raises:
        InputError: the message shows the next larger size and names the setting.
    """
    if height % step or width % step or not height or not width:
        larger = " x ".join(str(max(-(-side // step), 1) * step) for side in (height, width))
        expected = f"expected multiples of {step}, such as {larger}"
        raise InputError(f"image of {height} x {width} px; {expected}: set segmentation.image_size")
