"""V-Net (Milletari et al., 2016) and MedNeXt-S (Roy et al., 2023) in two dimensions, both from MONAI.

Source: arXiv 1606.04797 and 2303.09975. The V-Net of the paper's Table 1 is three-dimensional: another network.
"""

from __future__ import annotations

from monai.networks.nets import MedNeXt, MedNeXtS, VNet
from torch import Tensor, nn

from dainet.errors import InputError
from dainet.segmentation.baselines.inputs import check_channels, check_multiple

__all__ = ["ImageNetwork", "mednext_s", "mednext_s_small", "vnet_2d"]

_STEP = 16  # both networks halve the image four times
_VNET_FIRST = 16  # channels of V-Net's first level, to which the image's are repeated


class ImageNetwork(nn.Module):
    """A library's network, called as `network(image [B, C, H, W])` -> logits [B, classes, H, W]; maps are ignored.

    H and W are multiples of 16.
    """

    def __init__(self, network: nn.Module, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.network = network

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, H, W] of an image.

        Raises:
            InputError: the image has other channels or sides than the network can take.
        """
        check_channels(image, self.in_channels)
        check_multiple(image.shape[-2], image.shape[-1], _STEP)
        return self.network(image)


def vnet_2d(in_channels: int = 1, classes: int = 4) -> ImageNetwork:
    """Build MONAI's V-Net for slices; dropout removes whole channels of an image, as it does in three dimensions.

    MONAI builds `Dropout3d` for slices too, which takes a batch for one volume and removes all channels of an image.

    Raises:
        InputError: 16, the number of channels of the first level, is not a multiple of `in_channels`.
    """
    if _VNET_FIRST % in_channels:
        raise InputError(f"vnet-2d: {in_channels} image channels; expected a divisor of {_VNET_FIRST}, such as 1 or 2")
    network = VNet(spatial_dims=2, in_channels=in_channels, out_channels=classes)
    for part in list(network.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.Dropout3d):
                setattr(part, name, nn.Dropout2d(child.p))
    return ImageNetwork(network, in_channels)


def mednext_s(in_channels: int = 1, classes: int = 4) -> ImageNetwork:
    """Build MONAI's MedNeXt-S for slices, kernels of 3 x 3, without deep supervision."""
    return ImageNetwork(MedNeXtS(spatial_dims=2, in_channels=in_channels, out_channels=classes), in_channels)


def mednext_s_small(in_channels: int = 1, classes: int = 4) -> ImageNetwork:
    """Build a reduced MedNeXt for 64 px: a quarter of the width, one block a stage."""
    one = (1, 1, 1, 1)
    network = MedNeXt(
        spatial_dims=2,
        init_filters=8,
        in_channels=in_channels,
        out_channels=classes,
        kernel_size=3,
        use_residual_connection=True,
        blocks_down=one,
        blocks_bottleneck=1,
        blocks_up=one,
    )
    return ImageNetwork(network, in_channels)
