"""nnU-Net's plain U-Net in two dimensions (Isensee et al., 2021), from the library that nnU-Net itself uses.

Source: doi 10.1038/s41592-020-01008-z, with six stages. Here the kit's training loop and losses train it, so a row with
this name shows the architecture, not nnU-Net's planning, augmentation and ensembles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from dynamic_network_architectures.architectures.unet import PlainConvUNet
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from torch import Tensor, nn
from torch.nn import functional as F

from dainet.errors import InputError
from dainet.segmentation.baselines.inputs import check_channels, check_multiple

__all__ = ["NNUNet", "nnunet_2d", "nnunet_2d_small"]


class NNUNet(nn.Module):
    """U-Net of strided convolutions, instance norm and leaky ReLU, with a segmentation head on every decoder stage.

    Image [B, C, H, W] -> logits [B, classes, H, W] in evaluation mode. In training mode all heads are supervised:
    a list of logits, resized bilinearly to [B, classes, H, W], coarsest first, the predicting ones last. (nnU-Net
    resizes the labels instead, and gives each coarser head half the weight.)

    Args:
        in_channels: image channels C.
        classes: outputs with background.
        widths: channels of every stage; H and W are multiples of 2^(stages - 1), and at least twice as much, because
            instance norm needs more than one pixel.
    """

    def __init__(self, in_channels: int, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.step = 2 ** (len(widths) - 1)
        network = PlainConvUNet(
            input_channels=in_channels,
            n_stages=len(widths),
            features_per_stage=widths,
            conv_op=nn.Conv2d,
            kernel_sizes=3,
            strides=[1, *[2] * (len(widths) - 1)],
            n_conv_per_stage=2,
            num_classes=classes,
            n_conv_per_stage_decoder=2,
            conv_bias=True,
            norm_op=nn.InstanceNorm2d,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
            deep_supervision=True,
        )
        network.apply(network.initialize)
        self.encoder, self.decoder = network.encoder, network.decoder
        _remove_second_names(self)

    def train(self, mode: bool = True) -> Self:
        """Set the mode; heads that do not predict are computed in training mode only."""
        self.decoder.deep_supervision = mode
        return super().train(mode)

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor | list[Tensor]:
        """Compute logits [B, classes, H, W] of an image, or those of every head; maps are ignored.

        Raises:
            InputError: the image has other channels or sides than the network can take.
        """
        check_channels(image, self.in_channels)
        check_multiple(image.shape[-2], image.shape[-1], self.step)
        if min(image.shape[-2:]) < 2 * self.step:
            raise InputError(
                f"image of {image.shape[-2]} x {image.shape[-1]} px; expected at least {2 * self.step} px a side, "
                "so that instance norm sees more than one pixel: set segmentation.image_size"
            )
        logits = self.decoder(self.encoder(image))
        if not self.training:
            return logits
        size = image.shape[-2:]
        return [F.interpolate(coarse, size, mode="bilinear", align_corners=False) for coarse in reversed(logits)]


def nnunet_2d(in_channels: int = 1, classes: int = 4) -> NNUNet:
    """Build the plain U-Net of six stages."""
    return NNUNet(in_channels, classes, widths=(32, 64, 128, 256, 512, 512))


def nnunet_2d_small(in_channels: int = 1, classes: int = 4) -> NNUNet:
    """Build a reduced form for 64 px: five stages of a quarter of the width."""
    return NNUNet(in_channels, classes, widths=(8, 16, 32, 64, 128))


def _remove_second_names(network: NNUNet) -> None:
    """Leave one name to every layer: the library registers some twice, and safetensors stores no tensor twice."""
    del network.decoder.encoder
    for block in network.modules():
        if isinstance(block, ConvDropoutNormReLU):
            del block.conv, block.norm, block.nonlin
