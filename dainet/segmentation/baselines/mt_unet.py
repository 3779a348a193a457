"""MT-UNet (Wang et al., 2022): convolutions outside, transformers of local, global and external attention inside.

Source: arXiv 2111.04734, in the form of model/MTUNet.py of github.com/Dootmaan/MT-UNet. Windows, rows and columns are
computed in one product each.
"""

from __future__ import annotations

import torch
from timm.models.vision_transformer import Attention
from torch import Tensor, nn
from torch.nn import functional as F

from dainet.errors import InputError
from dainet.segmentation.baselines.inputs import check_size, three_channels

__all__ = ["MTUNet", "mt_unet", "mt_unet_small"]

_WINDOW = 4  # side of an attention window in tokens
_LOCAL_HEADS = 8
_EXTERNAL_HEADS = 32
_MEMORIES = 64  # keys and values of external attention, shared by all images
_STEP = 32  # three poolings and two strided convolutions


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with batch norm; a 1x1 convolution of their result is added to it before the last ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.side = nn.Sequential(nn.Conv2d(out_channels, out_channels, 1), nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        x = self.main(x)
        return F.relu(x + self.side(x))


class AxialAttention(nn.Module):
    """Single-head attention of tokens [B, H, W, C] along rows and along columns, added; distant tokens count less.

    Scores q.k are not scaled; from each, shift * distance^2 + bias is subtracted. Softmax cancels the bias, and no path
    leads to `unused`: the published network has both, so that they belong to its number of parameters.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.unused = nn.Linear(channels, channels)
        self.shift = nn.Parameter(torch.randn(1).abs())
        self.bias = nn.Parameter(-torch.randn(1).abs())

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        rows = torch.einsum("bhwc,bhvc->bhwv", q, k) - self._penalty(x.shape[2])
        columns = torch.einsum("bhwc,bgwc->bwhg", q, k) - self._penalty(x.shape[1])
        along_rows = torch.einsum("bhwv,bhvc->bhwc", rows.softmax(-1), v)
        return along_rows + torch.einsum("bwhg,bgwc->bhwc", columns.softmax(-1), v)

    def _penalty(self, tokens: int) -> Tensor:
        position = torch.arange(tokens, device=self.shift.device)
        return self.shift * (position[:, None] - position).square() + self.bias


class LocalGlobalAttention(nn.Module):
    """Attention inside windows of 4 x 4 tokens [B, H, W, C], and between one token per window; both are joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = Attention(channels, num_heads=_LOCAL_HEADS, qkv_bias=True)
        self.pooling = nn.Linear(channels, _WINDOW**2)
        self.axial = AxialAttention(channels)
        self.join = nn.Conv2d(2 * channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        x = _padded(x)
        batch, rows, columns = x.shape[0], x.shape[1] // _WINDOW, x.shape[2] // _WINDOW
        windows = x.unflatten(1, (rows, _WINDOW)).unflatten(3, (columns, _WINDOW)).transpose(2, 3)
        windows = self.local(windows.flatten(3, 4).flatten(0, 2))  # [B rows columns, 16, C]
        weights = self.pooling(windows.mean(dim=1)).softmax(-1)  # [B rows columns, 16]
        tokens = torch.einsum("np,npc->nc", weights, windows).view(batch, rows, columns, -1)
        coarse = F.interpolate(
            self.axial(tokens).permute(0, 3, 1, 2), scale_factor=_WINDOW, mode="bilinear", align_corners=True
        )
        fine = windows.view(batch, rows, columns, _WINDOW, _WINDOW, -1).transpose(2, 3)
        fine = fine.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)  # [B, C, H, W]
        return self.join(torch.cat([coarse, fine], dim=1))[:, :, :height, :width].permute(0, 2, 3, 1)


class ExternalAttention(nn.Module):
    """Attention of tokens [B, N, C] to learned memories that all images share (arXiv 2105.02358)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = 4 * channels
        self.expand = nn.Linear(channels, inner)
        self.keys = nn.Linear(inner // _EXTERNAL_HEADS, _MEMORIES)
        self.values = nn.Linear(_MEMORIES, inner // _EXTERNAL_HEADS)
        self.reduce = nn.Linear(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.keys(self.expand(x).unflatten(-1, (_EXTERNAL_HEADS, -1)))  # [B, N, heads, memories]
        weights = scores.softmax(dim=1)  # over tokens
        weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-9)
        return self.reduce(self.values(weights).flatten(2))


class MixedModule(nn.Module):
    """The mixed transformer module: local-global, then external attention, both with layer norm and residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.local_global = LocalGlobalAttention(channels)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.external = ExternalAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Compute features [B, C, H, W] of the same shape."""
        x = x.permute(0, 2, 3, 1)
        x = x + self.local_global(self.norm1(x))
        x = x + self.external(self.norm2(x).flatten(1, 2)).view(x.shape)
        return x.permute(0, 3, 1, 2)


class MTUNet(nn.Module):
    """Three convolution blocks, three levels of mixed transformer modules, and their mirror image.

    `forward(image [B, C, H, W])` -> logits [B, classes, H, W]; C is 1 (repeated) or 3, H = W = `image_size`, which sets
    the number of learned positions.

    Args:
        classes: outputs with background.
        image_size: side of the images in px, a multiple of 32 and at least 64.
        width: channels of the first level; they double at every level.

    Raises:
        InputError: `image_size` does not suit.
    """

    has_unused_parameters = True  # see `AxialAttention`

    def __init__(self, classes: int, image_size: int, width: int) -> None:
        super().__init__()
        if image_size % _STEP or image_size < 2 * _STEP:
            raise InputError(
                f"segmentation.image_size {image_size}; MT-UNet expects multiples of {_STEP} from {2 * _STEP}"
            )
        self.image_size = image_size
        w = width
        self.stem = nn.ModuleList([ConvBlock(3, w), ConvBlock(w, 2 * w), ConvBlock(2 * w, 4 * w)])
        self.pool = nn.MaxPool2d(2)
        self.project = nn.Sequential(
            nn.Conv2d(4 * w, 4 * w, 1, bias=False), nn.BatchNorm2d(4 * w), nn.ReLU(inplace=True)
        )
        self.positions = nn.Parameter(torch.zeros(1, (image_size // 8) ** 2, 4 * w))
        self.encoder = nn.ModuleList([_modules(4 * w), _modules(8 * w)])
        self.downs = nn.ModuleList([_down(4 * w), _down(8 * w)])
        self.bottleneck = _modules(16 * w)
        self.ups = nn.ModuleList([_up(16 * w), _up(8 * w)])
        self.reduce = nn.ModuleList([nn.Conv2d(16 * w, 8 * w, 1), nn.Identity()])
        self.decoder = nn.ModuleList([_modules(8 * w), _modules(8 * w)])
        self.stem_ups = nn.ModuleList([_up(8 * w), _up(4 * w), _up(2 * w)])
        self.stem_decoder = nn.ModuleList([ConvBlock(8 * w, 4 * w), ConvBlock(4 * w, 2 * w), ConvBlock(2 * w, w)])
        self.head = nn.Conv2d(w, classes, kernel_size=1)

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, H, W] of an image; maps are ignored.

        Raises:
            InputError: the image has other channels or sides than the network can take.
        """
        check_size(image, self.image_size)
        x, stem_skips, skips = three_channels(image), [], []
        for block in self.stem:
            stem_skips.append(block(x))
            x = self.pool(stem_skips[-1])
        x = self.project(x)
        x = x + self.positions.transpose(1, 2).view(1, *x.shape[1:])
        for modules, down in zip(self.encoder, self.downs, strict=True):
            skips.append(modules(x))
            x = down(skips[-1])
        x = self.bottleneck(x)
        for up, reduce, modules in zip(self.ups, self.reduce, self.decoder, strict=True):
            x = modules(reduce(torch.cat([up(x), skips.pop()], dim=1)))
        for up, block in zip(self.stem_ups, self.stem_decoder, strict=True):
            x = block(torch.cat([stem_skips.pop(), up(x)], dim=1))
        return self.head(x)


def mt_unet(classes: int = 4, image_size: int = 224) -> MTUNet:
    """Build the published network."""
    return MTUNet(classes, image_size, width=64)


def mt_unet_small(classes: int = 4, image_size: int = 64) -> MTUNet:
    """Build a reduced form for 64 px, of an eighth of the width."""
    return MTUNet(classes, image_size, width=8)


def _modules(channels: int) -> nn.Sequential:
    return nn.Sequential(MixedModule(channels), MixedModule(channels))


def _down(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 2 * channels, 2, stride=2, bias=False), nn.BatchNorm2d(2 * channels), nn.ReLU(inplace=True)
    )


def _up(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels // 2, 2, stride=2)


def _padded(x: Tensor) -> Tensor:
    """Pad tokens [B, H, W, C] to whole windows: with zeros, in the new corner with the last rows and columns."""
    height, width = x.shape[1:3]
    down, right = -height % _WINDOW, -width % _WINDOW
    padded = F.pad(x, (0, 0, 0, right, 0, down))
    if down and right:
        padded[:, height:, width:] = x[:, height - down :, width - right :]
    return padded
