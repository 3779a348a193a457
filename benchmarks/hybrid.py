"""A network like TransUNet: timm's R50 + ViT-B/16 as encoder, a cascade of upsamplings with R50's skips as decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["HybridUNet"]

_SKIPS = {"stages.1": 512, "stages.0": 256, "stem": 64}  # channels at 1/8, 1/4 and 1/2 of the resolution
_DECODER = (256, 128, 64, 16)  # TransUNet's
_HEAD_CHANNELS = 512


class HybridUNet(nn.Module):
    """Images [B, 1, 224, 224] to logits [B, classes, 224, 224]; Chen et al. 2021, section 3, with R50's skips.

    "R50-ViT-CUP" there, written from the paper's description. timm's hybrid has the same backbone: three stages of
    R50-BiT, and ViT-B on 1/16 of the resolution.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        vit: Any = timm.create_model("vit_base_r50_s16_224", pretrained=False, num_classes=0)
        self.vit, self.backbone = vit, vit.patch_embed.backbone
        self.features: dict[str, Tensor] = {}
        for name in _SKIPS:
            self.backbone.get_submodule(name).register_forward_hook(self._keep(name))
        self.into = _conv(self.vit.embed_dim, _HEAD_CHANNELS)
        inputs, skips = (_HEAD_CHANNELS, *_DECODER), (*_SKIPS.values(), 0)
        self.blocks = nn.ModuleList(
            nn.Sequential(_conv(a + skip, b), _conv(b, b)) for a, b, skip in zip(inputs, _DECODER, skips, strict=False)
        )
        self.head = nn.Conv2d(_DECODER[-1], classes, kernel_size=3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits [B, classes, H, W] of an image [B, 1, H, W]."""
        tokens = self.vit.forward_features(image.expand(-1, 3, -1, -1))[:, self.vit.num_prefix_tokens :]
        x = self.into(tokens.transpose(1, 2).unflatten(2, self.vit.patch_embed.grid_size))
        for block, name in zip(self.blocks, (*_SKIPS, None), strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            if name:
                skip = functional.interpolate(
                    self.features[name], size=x.shape[-2:]
                )  # the stem's output is slightly smaller than 1/2
                x = torch.cat([x, skip.to(x.dtype)], dim=1)
            x = block(x)
        return self.head(x)

    def _keep(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self.features[name] = output

        return hook


def _conv(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
