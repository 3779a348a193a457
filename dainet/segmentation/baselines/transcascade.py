"""TransCASCADE: TransUNet's encoder and a decoder of attention gates and of channel and spatial attention.

Source: Rahman and Marculescu, WACV 2023 (github.com/SLDGroup/CASCADE); written from the paper and from facts about its
layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dainet.segmentation.baselines.inputs import check_channels
from dainet.segmentation.baselines.unet_upsample import Gate, conv_block, upsample
from dainet.segmentation.baselines.vit_encoder import PATCH, PUBLISHED, SMALL, Encoder, Sizes

__all__ = [
    "ORPHANS",
    "TransCascade",
    "transcascade",
    "transcascade_published",
    "transcascade_published_small",
    "transcascade_small",
]

# What the published network makes again in every forward: no gradient reaches the encoder's own.
ORPHANS = ("vit.patch_embed.proj.weight", "vit.patch_embed.proj.bias", "vit.pos_embed")
_REDUCTION = 16
_DROPOUT = 0.1


class ChannelAttention(nn.Module):
    """Each channel of [B, C, H, W] times a number between 0 and 1, computed from its mean and its maximum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // _REDUCTION
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False), nn.ReLU(), nn.Conv2d(inner, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        mean, maximum = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return x * torch.sigmoid(self.mlp(mean) + self.mlp(maximum))


class SpatialAttention(nn.Module):
    """Each pixel of [B, C, H, W] times a number between 0 and 1, computed from mean and maximum over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size=7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.conv(pooled))


class CascadedDecoder(nn.Module):
    """Four levels of attention and convolutions; between them upsampling, a gate on the skip, and concatenation.

    Args:
        widths: channels of the tokens and of the three skips, deepest first; also those of the four outputs.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        inputs = [widths[0], *(2 * width for width in widths[1:])]
        gates = [*widths[2:], widths[-1] // 2]
        self.first = nn.Conv2d(widths[0], widths[0], kernel_size=1)
        self.ups = nn.ModuleList(upsample(a, b) for a, b in pairwise(widths))
        self.gates = nn.ModuleList(Gate(width, width, inner) for width, inner in zip(widths[1:], gates, strict=True))
        self.channel_attentions = nn.ModuleList(ChannelAttention(width) for width in inputs)
        self.spatial_attention = SpatialAttention()  # one for all levels, as published
        self.blocks = nn.ModuleList(conv_block(a, b) for a, b in zip(inputs, widths, strict=True))

    def forward(self, x: Tensor, skips: list[Tensor]) -> list[Tensor]:
        """Compute four features, at S/16, S/8, S/4 and S/2."""
        outputs = [self._level(0, self.first(x))]
        for level, (up, gate, skip) in enumerate(zip(self.ups, self.gates, skips, strict=True), start=1):
            x = up(outputs[-1])
            outputs.append(self._level(level, torch.cat([gate(x, skip), x], dim=1)))
        return outputs

    def _level(self, level: int, x: Tensor) -> Tensor:
        return self.blocks[level](self.spatial_attention(self.channel_attentions[level](x)))


class TransCascade(nn.Module):
    """TransUNet's encoder, the cascaded decoder and four heads.

    Image [B, C, S, S] -> in training mode a list of four logits [B, classes, S, S], from S/16, S/8, S/4 and S/2; in
    evaluation mode their sum, which is the published prediction.

    Args:
        in_channels: C; a learned 1x1 convolution makes the encoder's three channels.
        classes: outputs with background.
        image_size: S, a multiple of 16.
        sizes: widths and depths.
        random_projection: whether every forward, in evaluation too, draws a new patch projection and zeroes the
            positions, as the published code does. The encoder's own (`ORPHANS`) then get no gradient and have no
            effect, pre-trained or not, and two predictions of one image differ.
    """

    def __init__(
        self, in_channels: int, classes: int, image_size: int, sizes: Sizes, *, random_projection: bool = False
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.random_projection = self.has_unused_parameters = random_projection
        widths = [sizes.embedding, sizes.stages[1], sizes.stages[0], sizes.root]
        self.to_color = nn.Sequential(nn.Conv2d(in_channels, 3, kernel_size=1), nn.BatchNorm2d(3), nn.ReLU())
        self.encoder = Encoder(image_size, sizes, hybrid=True)
        self.pretrained_name = self.encoder.pretrained_name
        self.decoder = CascadedDecoder(widths)
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, kernel_size=1) for width in widths)
        self.ups = nn.ModuleList(
            nn.UpsamplingBilinear2d(scale_factor=PATCH // 2**level) for level in range(len(widths))
        )
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor | list[Tensor]:
        """Compute four logits [B, classes, S, S] in training mode, their sum in evaluation mode; maps are ignored."""
        logits = self.head_logits(image)
        return logits if self.training else torch.stack(logits).sum(0)

    def head_logits(self, image: Tensor) -> list[Tensor]:
        """Compute the logits [B, classes, S, S] of each head, deepest first."""
        check_channels(image, self.in_channels)
        replaced = self._drawn() if self.random_projection else {}
        x, skips = functional_call(self.encoder, replaced, (self.to_color(image),))
        features = self.decoder(x, skips)
        return [self.dropout(up(head(f))) for up, head, f in zip(self.ups, self.heads, features, strict=True)]

    def _drawn(self) -> dict[str, Tensor]:
        """Return a patch projection drawn as torch initializes a convolution, and positions of zeros."""
        weight, bias, positions = (self.encoder.get_parameter(name).detach() for name in ORPHANS)
        bound = weight[0].numel() ** -0.5
        drawn = (torch.empty_like(tensor).uniform_(-bound, bound) for tensor in (weight, bias))
        return dict(zip(ORPHANS, (*drawn, torch.zeros_like(positions)), strict=True))

    def load_encoder(self, state: Mapping[str, Tensor]) -> list[str]:
        """Copy pre-trained tensors: see `Encoder.load`; decoder, heads and first convolution stay random."""
        return self.encoder.load(state)


def transcascade(in_channels: int = 1, classes: int = 4, image_size: int = 224) -> TransCascade:
    """Build TransCASCADE whose patch projection and positions are kept and trained."""
    return TransCascade(in_channels, classes, image_size, PUBLISHED)


def transcascade_published(in_channels: int = 1, classes: int = 4, image_size: int = 224) -> TransCascade:
    """Build TransCASCADE as its published code runs: a random patch projection and no positions in every forward."""
    return TransCascade(in_channels, classes, image_size, PUBLISHED, random_projection=True)


def transcascade_small(in_channels: int = 1, classes: int = 4, image_size: int = 64) -> TransCascade:
    """Build the reduced form of `transcascade`."""
    return TransCascade(in_channels, classes, image_size, SMALL)


def transcascade_published_small(in_channels: int = 1, classes: int = 4, image_size: int = 64) -> TransCascade:
    """Build the reduced form of `transcascade_published`."""
    return TransCascade(in_channels, classes, image_size, SMALL, random_projection=True)
