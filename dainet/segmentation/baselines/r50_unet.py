"""U-Net on a ResNet-50 ("R50 U-Net"), and the same with attention gates on its skips ("R50 AttnUNet"), from SMP.

The rows of the paper's tables come from arXiv 2102.04306, whose authors published no code for them. So both networks
are the kit's own design: encoder and decoder of segmentation-models-pytorch, and on the skips of the second the gates
of the attention U-Net (arXiv 1804.03999).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import segmentation_models_pytorch as smp
from torch import Tensor, nn
from torch.nn import functional as F

from dainet.segmentation.baselines.inputs import check_channels
from dainet.segmentation.baselines.pretrained import copy_tensors
from dainet.segmentation.baselines.unet_upsample import Gate

__all__ = [
    "R50AttnUNet",
    "R50UNet",
    "r50_attn_unet",
    "r50_attn_unet_small",
    "r50_unet",
    "r50_unet_small",
]

_WIDTHS = (256, 128, 64, 32, 16)  # of SMP's decoder, deepest level first
_SMALL = ("resnet18", (64, 32, 16, 16, 8))


class R50UNet(nn.Module):
    """SMP's U-Net on a ResNet, with SMP's names of tensors; the skips are those of the stem and of three stages.

    Image [B, C, H, W] -> logits [B, classes, H, W], of any size: features are upsampled to the size of the next skip.

    Args:
        in_channels: image channels C.
        classes: outputs with background.
        encoder: SMP's name of a ResNet.
        widths: channels of the decoder's five levels, deepest first.
    """

    pretrained_name = "resnet50.tv_in1k"  # torchvision's ImageNet weights; in timm

    def __init__(self, in_channels: int, classes: int, encoder: str, widths: Sequence[int]) -> None:
        super().__init__()
        network = smp.Unet(
            encoder, encoder_weights=None, decoder_channels=widths, in_channels=in_channels, classes=classes
        )
        self.in_channels = in_channels
        self.encoder, self.decoder = network.encoder, network.decoder
        self.segmentation_head = network.segmentation_head

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, H, W] of an image; maps are ignored.

        Raises:
            InputError: the image has other channels than the network.
        """
        check_channels(image, self.in_channels)
        return self.segmentation_head(self.decode(self.encoder(image)))

    def decode(self, features: list[Tensor]) -> Tensor:
        """Compute features [B, widths[-1], H, W] from the image and the five features of the encoder."""
        return self.decoder(features)

    def load_encoder(self, state: Mapping[str, Tensor]) -> list[str]:
        """Copy the tensors of a ResNet of timm or torchvision into the encoder.

        As in SMP, the first convolution is summed over its colors for gray images; for other channels it repeats them.

        Returns:
            The names that have no place here: the classifier's.

        Raises:
            InputError: a tensor is missing or has another shape.
        """
        own = [name for name in self.encoder.state_dict() if name in state or not name.endswith("num_batches_tracked")]
        fitted = dict(state)
        if "conv1.weight" in state:
            fitted["conv1.weight"] = _fit_colors(state["conv1.weight"], self.in_channels)
        return copy_tensors(self.encoder, fitted, {name: name for name in own})


class R50AttnUNet(R50UNet):
    """`R50UNet` whose skips pass an attention gate; the gate compares them with what the decoder upsamples to them."""

    def __init__(self, in_channels: int, classes: int, encoder: str, widths: Sequence[int]) -> None:
        super().__init__(in_channels, classes, encoder, widths)
        _, *skips, deepest = self.encoder.out_channels
        below = [deepest, *widths]
        self.gates = nn.ModuleList(Gate(b, skip, skip // 2) for b, skip in zip(below, reversed(skips), strict=False))

    def decode(self, features: list[Tensor]) -> Tensor:
        """Compute features [B, widths[-1], H, W] from the image and the five features of the encoder."""
        image, *skips, x = features
        *blocks, last = self.decoder.blocks
        for block, gate, skip in zip(blocks, self.gates, reversed(skips), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:])  # the block does the same, but after the gate
            x = block(x, *skip.shape[-2:], gate(x, skip))
        return last(x, *image.shape[-2:], None)


def r50_unet(in_channels: int = 1, classes: int = 4) -> R50UNet:
    """Build the U-Net on a ResNet-50."""
    return R50UNet(in_channels, classes, "resnet50", _WIDTHS)


def r50_unet_small(in_channels: int = 1, classes: int = 4) -> R50UNet:
    """Build a reduced form for 64 px, on a ResNet-18 with a narrower decoder."""
    return R50UNet(in_channels, classes, *_SMALL)


def r50_attn_unet(in_channels: int = 1, classes: int = 4) -> R50AttnUNet:
    """Build the U-Net on a ResNet-50 with gated skips."""
    return R50AttnUNet(in_channels, classes, "resnet50", _WIDTHS)


def r50_attn_unet_small(in_channels: int = 1, classes: int = 4) -> R50AttnUNet:
    """Build a reduced form for 64 px, on a ResNet-18 with a narrower decoder."""
    return R50AttnUNet(in_channels, classes, *_SMALL)


def _fit_colors(weight: Tensor, channels: int) -> Tensor:
    """Fit the weight [F, 3, k, k] of a first convolution to images of another number of channels."""
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    colors = weight.shape[1]
    return weight[:, [channel % colors for channel in range(channels)]] * (colors / channels)
