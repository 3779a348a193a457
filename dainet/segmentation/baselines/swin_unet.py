"""Swin-Unet (Cao et al., 2022): a U-shaped network of Swin transformer blocks alone, with torchvision's blocks.

Source: arXiv 2105.05537, in the form of networks/swin_transformer_unet_skip_expand_decoder_sys.py and
configs/swin_tiny_patch4_window7_224_lite.yaml of github.com/HuCaoFighting/Swin-Unet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import PatchMerging, SwinTransformerBlock
from torchvision.ops import Permute

from dainet.segmentation.baselines.inputs import check_multiple, three_channels
from dainet.segmentation.baselines.pretrained import copy_tensors

__all__ = ["SwinUnet", "swin_unet", "swin_unet_small"]

_PATCH = 4
_DEPTH = 2  # blocks of every stage
_DROP_PATH = 0.2  # of the deepest encoder block; 0 at the first


class PatchExpand(nn.Module):
    """A linear layer that turns every pixel [B, H, W, C] into `factor` x `factor` pixels of `out_channels`, and LN."""

    def __init__(self, channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.linear = nn.Linear(channels, factor**2 * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x).unflatten(-1, (self.factor, self.factor, -1))  # [B, H, W, row, column, C]
        x = x.transpose(2, 3).flatten(1, 2).flatten(2, 3)  # [B, H row, W column, C]
        return self.norm(x)


class SwinUnet(nn.Module):
    """Four encoder stages of two Swin blocks with patch merging, a mirrored decoder with patch expanding.

    `forward(image [B, C, H, W])` -> logits [B, classes, H, W]; C is 1 (repeated) or 3, H and W are multiples of 32.
    Where a grid is no multiple of the window, torchvision pads it; the published form (window 7 at 224 px) never is.
    The skip of a decoder stage is the input of the encoder stage of the same width.

    Args:
        classes: outputs with background.
        channels: width of the first stage; it doubles at every stage.
        heads: attention heads of the four stages.
        window: side of an attention window in tokens.
    """

    pretrained_name = "swin_tiny_patch4_window7_224.ms_in1k"  # ImageNet; in timm

    def __init__(self, classes: int, channels: int, heads: Sequence[int], window: int) -> None:
        super().__init__()
        widths = [channels * 2**stage for stage in range(len(heads))]
        blocks = range(_DEPTH * len(heads))
        rates = [_DROP_PATH * block / blocks[-1] for block in blocks]
        stages = [
            (width, count, window, rates[_DEPTH * stage : _DEPTH * (stage + 1)])
            for stage, (width, count) in enumerate(zip(widths, heads, strict=True))
        ]
        self.embed = nn.Sequential(
            nn.Conv2d(3, channels, _PATCH, _PATCH), Permute([0, 2, 3, 1]), nn.LayerNorm(channels)
        )
        self.encoder = nn.ModuleList(_stage(*stage) for stage in stages)
        self.merges = nn.ModuleList(PatchMerging(width) for width in widths[:-1])
        self.norm = nn.LayerNorm(widths[-1])
        self.expands = nn.ModuleList(PatchExpand(width, width // 2, 2) for width in reversed(widths[1:]))
        self.reductions = nn.ModuleList(nn.Linear(2 * width, width) for width in reversed(widths[:-1]))
        self.decoder = nn.ModuleList(_stage(*stage) for stage in reversed(stages[:-1]))
        self.decoder_norm = nn.LayerNorm(channels)
        self.last_expand = PatchExpand(channels, channels, _PATCH)
        self.head = nn.Conv2d(channels, classes, 1, bias=False)
        self.apply(_initialize)

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, H, W] of an image; maps are ignored.

        Raises:
            InputError: the image has other channels or sides than the network can take.
        """
        check_multiple(image.shape[-2], image.shape[-1], _PATCH * 2 ** len(self.merges))
        x = self.embed(three_channels(image))  # [B, H/4, W/4, C]
        skips = []
        for stage, merge in zip(self.encoder[:-1], self.merges, strict=True):
            skips.append(x)
            x = merge(stage(x))
        x = self.norm(self.encoder[-1](x))
        for expand, reduction, stage in zip(self.expands, self.reductions, self.decoder, strict=True):
            x = stage(reduction(torch.cat([expand(x), skips.pop()], dim=-1)))
        x = self.last_expand(self.decoder_norm(x))
        return self.head(x.permute(0, 3, 1, 2))

    def load_encoder(self, state: Mapping[str, Tensor]) -> list[str]:
        """Copy the tensors of timm's Swin-T into encoder and decoder: the blocks of a stage serve both, as published.

        Returns:
            The names that have no place here: timm's head, and blocks 2 to 5 of the third stage, which has six there.

        Raises:
            InputError: a tensor is missing or has another shape.
        """
        names = (name for name, _ in self.named_parameters())
        return copy_tensors(self, state, {name: source for name in names if (source := _timm_name(name))})


def swin_unet(classes: int = 4) -> SwinUnet:
    """Build the published network, a Swin-T of depths 2-2-2-2 with its mirror image."""
    return SwinUnet(classes, channels=96, heads=(3, 6, 12, 24), window=7)


def swin_unet_small(classes: int = 4) -> SwinUnet:
    """Build a reduced form for 64 px: a quarter of the width, windows of 4 tokens."""
    return SwinUnet(classes, channels=24, heads=(3, 6, 12, 24), window=4)


def _stage(width: int, heads: int, window: int, rates: Sequence[float]) -> nn.Sequential:
    """Build the blocks of a stage; the windows of every second one are shifted by half a window."""
    shifts = [window // 2 * (block % 2) for block in range(_DEPTH)]
    return nn.Sequential(
        *(
            SwinTransformerBlock(width, heads, [window] * 2, [shift] * 2, stochastic_depth_prob=rate)
            for shift, rate in zip(shifts, rates, strict=True)
        )
    )


def _initialize(module: nn.Module) -> None:
    """Initialize linear layers as torchvision's and the authors' Swin transformer do."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _timm_name(name: str) -> str | None:
    """Return timm's name of a tensor's source; None for tensors that are not pre-trained."""
    block = re.fullmatch(r"(encoder|decoder)\.(\d)\.(\d)\.(.+)", name)
    if block:
        side, stage, index, rest = block.groups()
        source = int(stage) if side == "encoder" else 2 - int(stage)
        return f"layers.{source}.blocks.{index}." + rest.replace("mlp.0", "mlp.fc1").replace("mlp.3", "mlp.fc2")
    room, _, rest = name.partition(".")
    if room == "embed":
        return f"patch_embed.{rest}".replace(".0.", ".proj.").replace(".2.", ".norm.")
    if room == "merges":  # timm counts the merging to the stage after it
        return f"layers.{int(rest[0]) + 1}.downsample.{rest[2:]}"
    return name if room == "norm" else None
