"""The encoder of TransUNet and its relatives: a ViT on patches of the image or of a ResNet-50, with timm's blocks.

Source: Chen et al. 2021 (arXiv 2102.04306), networks/vit_seg_modeling.py, vit_seg_modeling_resnet_skip.py and
vit_seg_configs.py of github.com/Beckschen/TransUNet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import isqrt
from typing import Any, NamedTuple

from timm.layers import GroupNormAct, StdConv2d
from timm.models.resnetv2 import ResNetV2
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from dainet.errors import InputError
from dainet.segmentation.baselines.inputs import check_size, three_channels
from dainet.segmentation.baselines.pretrained import copy_tensors

__all__ = ["PATCH", "PRETRAINED", "PRETRAINED_HYBRID", "PUBLISHED", "SMALL", "Encoder", "Sizes", "r50", "r50_features"]

# timm's names of Google's weights, trained on ImageNet-21k.
PRETRAINED = "vit_base_patch16_224.orig_in21k"
PRETRAINED_HYBRID = "vit_base_r50_s16_224.orig_in21k"

PATCH = 16
_DROPOUT = 0.1


class Sizes(NamedTuple):
    """Numbers that tell the reduced form of a network from the published one."""

    embedding: int
    blocks: int
    heads: int
    root: int  # channels of the ResNet before its stages
    stages: Sequence[int]  # channels of its three stages
    units: Sequence[int]  # bottleneck units of each stage
    groups: int  # of its group norms
    decoder: Sequence[int]  # TransUNet's decoder: channels of its first convolution and of its four steps


PUBLISHED = Sizes(
    embedding=768,
    blocks=12,
    heads=12,
    root=64,
    stages=(256, 512, 1024),
    units=(3, 4, 9),
    groups=32,
    decoder=(512, 256, 128, 64, 16),
)
SMALL = Sizes(
    embedding=96,
    blocks=4,
    heads=3,
    root=16,
    stages=(32, 64, 128),
    units=(1, 2, 2),
    groups=8,
    decoder=(64, 32, 32, 16, 16),
)


def r50(sizes: Sizes) -> ResNetV2:
    """Build the first three stages of a ResNet-50 with standardized weights and group norm.

    Unlike timm's, its pooling has no padding, and the norm of a projection has one group per channel.
    """
    net: Any = ResNetV2(
        list(sizes.units),
        tuple(sizes.stages),
        num_classes=0,
        global_pool="",
        stem_chs=sizes.root,
        preact=False,
        conv_layer=partial(StdConv2d, eps=1e-5),
        norm_layer=partial(GroupNormAct, num_groups=sizes.groups, eps=1e-6),
    )
    net.stem.pool = nn.MaxPool2d(kernel_size=3, stride=2)
    for stage, channels in zip(net.stages, sizes.stages, strict=True):
        stage.blocks[0].downsample.norm = nn.GroupNorm(channels, channels)
    return net


def r50_features(net: ResNetV2, image: Tensor) -> list[Tensor]:
    """Compute the features of images [B, 3, S, S] at S/2, S/4, S/8 and S/16.

    The pooling without padding takes a row and a column from the second one: here zeros replace them, not in what the
    next stage sees.
    """
    features: Any = net.forward_intermediates(image, intermediates_only=True)
    root, first, *others = features
    return [root, F.pad(first, (0, 1, 0, 1)), *others]


def _vit(sizes: Sizes, side: int, patch: int, channels: int) -> VisionTransformer:
    """Build a ViT without CLS token and head for inputs [B, channels, side, side]; positions start as zeros."""
    net: Any = VisionTransformer(
        img_size=side,
        patch_size=patch,
        in_chans=channels,
        num_classes=0,
        global_pool="",
        class_token=False,
        embed_dim=sizes.embedding,
        depth=sizes.blocks,
        num_heads=sizes.heads,
        pos_drop_rate=_DROPOUT,
        proj_drop_rate=_DROPOUT,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )
    nn.init.zeros_(net.pos_embed)
    for block in net.blocks:
        block.attn.proj_drop = nn.Identity()  # timm drops after the attention too, the original in the MLP alone
    return net


class Encoder(nn.Module):
    """A ViT without CLS token that sees patches of the image, or 1x1 patches of a ResNet-50's features ("hybrid").

    Image [B, C, S, S], C = 1 (repeated) or 3 -> tokens as a map [B, embedding, S/16, S/16] and the skips of the hybrid,
    deepest first: features at S/8, S/4 and S/2; none without ResNet.

    Args:
        image_size: S, a multiple of 16; the position embedding is made for it.
        sizes: widths and depths.
        hybrid: whether there is a ResNet.

    Raises:
        InputError: the image size is not a multiple of 16, or an image has another size.
    """

    def __init__(self, image_size: int, sizes: Sizes, *, hybrid: bool) -> None:
        super().__init__()
        if image_size < PATCH or image_size % PATCH:
            raise InputError(f"segmentation.image_size of {image_size} px; expected a multiple of {PATCH}, such as 224")
        self.image_size = image_size
        self.pretrained_name = PRETRAINED_HYBRID if hybrid else PRETRAINED
        self.r50 = r50(sizes) if hybrid else None
        self.vit = (
            _vit(sizes, image_size // PATCH, 1, sizes.stages[-1]) if hybrid else _vit(sizes, image_size, PATCH, 3)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute tokens as a map [B, embedding, S/16, S/16], and the skips."""
        check_size(image, self.image_size)
        x, skips = three_channels(image), []
        if self.r50 is not None:
            *skips, x = r50_features(self.r50, x)
        side = self.image_size // PATCH
        return self.vit(x).transpose(1, 2).unflatten(2, (side, side)), skips[::-1]

    def load(self, state: Mapping[str, Tensor]) -> list[str]:
        """Copy the tensors of timm's model of the name `pretrained_name` into all of this encoder.

        The position table loses its CLS row and is resized linearly to this grid.

        Returns:
            The names that have no place here: CLS token and head.

        Raises:
            InputError: a tensor is missing or has another shape.
        """
        sources = {name: name.removeprefix("vit.") for name in self.state_dict()}
        sources |= {name: name.replace("r50.", "patch_embed.backbone.") for name in sources if name.startswith("r50.")}
        if "pos_embed" in state:
            state = {**state, "pos_embed": _positions(state, self.image_size // PATCH)}
        return copy_tensors(self, state, sources)


def _positions(state: Mapping[str, Tensor], side: int) -> Tensor:
    """[1, CLS + n n, D] -> [1, side side, D]; corners stay corners."""
    table = state["pos_embed"][:, "cls_token" in state :]
    old = isqrt(table.shape[1])
    if old**2 != table.shape[1]:
        raise InputError(f"pre-trained weights: {table.shape[1]} positions without CLS; expected a square number")
    grid = table.transpose(1, 2).unflatten(2, (old, old))
    grid = F.interpolate(grid, size=(side, side), mode="bilinear", align_corners=True)
    return grid.flatten(2).transpose(1, 2)
