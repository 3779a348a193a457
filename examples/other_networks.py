"""Networks of other libraries, each made comparable in a few lines: examples/other_networks.py:smp_unetplusplus.

They start from random weights, as the kit's own do. `pip install 'dainet[baselines]'` brings the three libraries.
"""

from typing import cast

from torch import Tensor, nn


def smp_unetplusplus(in_channels: int, classes: int) -> nn.Module:
    """Build UNet++ of segmentation-models-pytorch on a ResNet-18; sizes are multiples of 32."""
    import segmentation_models_pytorch as smp

    return cast(nn.Module, smp.UnetPlusPlus("resnet18", encoder_weights=None, in_channels=in_channels, classes=classes))


def monai_unetplusplus(in_channels: int, classes: int, width: int) -> nn.Module:
    """Build UNet++ of MONAI with deep supervision: it returns the logits of its four depths, the last one best."""
    from monai.networks.nets import BasicUNetPlusPlus

    features = (width, width, 2 * width, 4 * width, 8 * width, width)
    return cast(nn.Module, BasicUNetPlusPlus(2, in_channels, classes, features, deep_supervision=True))


class DeepLabV3(nn.Module):
    """torchvision's DeepLabV3 on a MobileNet: it wants three channels and returns a dictionary."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

        self.net = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits [B, classes, H, W] from gray slices [B, 1, H, W]."""
        return cast(Tensor, self.net(image.expand(-1, 3, -1, -1))["out"])
