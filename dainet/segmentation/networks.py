"""The networks of the paper: U-Net, single encoder and the dual encoder with its four switches (section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dainet.errors import InputError, unknown

__all__ = [
    "PAPER_NETWORKS",
    "SWITCH_ORDERS",
    "DAINet",
    "Encoder",
    "UNet",
    "build_paper_network",
    "count_flops",
    "paper_network",
    "parameter_count",
]

_POOLINGS = 4  # four switches, so four skips, so four poolings (docs/protocol.md#5.22)
PAPER_NETWORKS = ("unet", "single", *(f"dual-{switches:0{_POOLINGS}b}" for switches in range(2**_POOLINGS)))
SWITCH_ORDERS = ("deep-first", "shallow-first")


def conv_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Build two 3x3 convolutions, each with batch norm and ReLU, at unchanged size (legend of Fig. 2).

    The convolutions have no bias: batch norm would subtract it again, and its gradient costs time.
    """
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv2d(channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Convolution blocks with max pooling between them; channels double at every level.

    An image [B, C, H, W] gives five features, from [B, width, H, W] to [B, 16 width, H/16, W/16].
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        channels = [in_channels, *(width * 2**level for level in range(_POOLINGS + 1))]
        self.blocks = nn.ModuleList(conv_block(a, b) for a, b in pairwise(channels))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the five features of a batch, full resolution first."""
        features = [self.blocks[0](x)]
        for block in self.blocks[1:]:
            features.append(block(self.pool(features[-1])))
        return features


class Decoder(nn.Module):
    """Transposed convolutions; at each level, upsampled features and skips are concatenated for a convolution block.

    Args:
        bottleneck_channels: channels that arrive from below.
        skip_channels: channels of all skips together per level, deepest (1/8) first.
        width: channels of the full-resolution level.
    """

    def __init__(self, bottleneck_channels: int, skip_channels: Sequence[int], width: int) -> None:
        super().__init__()
        outputs = [width * 2**level for level in reversed(range(_POOLINGS))]
        inputs = [bottleneck_channels, *outputs]
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in zip(inputs, outputs, strict=False))
        self.blocks = nn.ModuleList(conv_block(b + skip, b) for b, skip in zip(outputs, skip_channels, strict=True))

    def forward(self, x: Tensor, skips: Sequence[Sequence[Tensor]]) -> Tensor:
        for up, block, level_skips in zip(self.ups, self.blocks, skips, strict=True):
            x = block(torch.cat([*level_skips, up(x)], dim=1))
        return x


class UNet(nn.Module):
    """U-Net on the image, or on image and attention maps together ("single encoder", section 3.3).

    `forward(image [B, C, H, W], attention [B, h, H, W])` -> logits [B, classes, H, W]; `attention` is ignored
    where `heads` is 0. H and W must be multiples of 16.
    """

    def __init__(self, in_channels: int, heads: int, classes: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.encoder = Encoder(in_channels + heads, width)
        self.decoder = Decoder(16 * width, [8 * width, 4 * width, 2 * width, width], width)
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def forward(self, image: Tensor, attention: Tensor | None = None) -> Tensor:
        """Compute logits [B, classes, H, W] from the image and, where `heads` is not 0, its attention maps."""
        _check_size(image)
        x = torch.cat([image, _required(attention, self.heads)], dim=1) if self.heads else image
        *skips, bottleneck = self.encoder(x)
        return self.head(self.decoder(bottleneck, [[skip] for skip in reversed(skips)]))


class DAINet(nn.Module):
    """Dual encoder: image and attention features are joined at the bottleneck and at the skips that are on (Fig. 2).

    `forward(image [B, C, H, W], attention [B, h, H, W])` -> logits [B, classes, H, W]. H and W must be multiples
    of 16. `skips_on` says, deepest level (1/8) first, which skips of the attention encoder reach the decoder; those of
    the image encoder always do (docs/protocol.md#5.24). A skip that is off has no channels in the decoder, rather
    than channels of zeros.
    """

    def __init__(
        self, in_channels: int, heads: int, classes: int, width: int, skips_on: Sequence[bool] = (True,) * _POOLINGS
    ) -> None:
        super().__init__()
        self.heads = heads
        self.skips_on = tuple(skips_on)
        self.image_encoder = Encoder(in_channels, width)
        self.attention_encoder = Encoder(heads, width)
        levels = [8 * width, 4 * width, 2 * width, width]
        skip_channels = [channels * (1 + on) for channels, on in zip(levels, self.skips_on, strict=True)]
        self.decoder = Decoder(2 * 16 * width, skip_channels, width)
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def forward(self, image: Tensor, attention: Tensor | None) -> Tensor:
        """Compute logits [B, classes, H, W] from the image and its attention maps."""
        _check_size(image)
        return self.decode(self.image_encoder(image), self.attention_encoder(_required(attention, self.heads)))

    def decode(self, image_features: Sequence[Tensor], attention_features: Sequence[Tensor]) -> Tensor:
        """Compute logits [B, classes, H, W] from the five features of each encoder, full resolution first."""
        *image_skips, image_bottleneck = image_features
        *attention_skips, attention_bottleneck = attention_features
        skips = [
            [image_skip, attention_skip] if on else [image_skip]
            for on, image_skip, attention_skip in zip(
                self.skips_on, reversed(image_skips), reversed(attention_skips), strict=True
            )
        ]
        return self.head(self.decoder(torch.cat([image_bottleneck, attention_bottleneck], dim=1), skips))


def build_paper_network(
    name: str, in_channels: int, heads: int, classes: int, width: int, switch_order: str = "deep-first"
) -> UNet | DAINet:
    """Build one of `PAPER_NETWORKS`; arguments and errors as in `dainet.segmentation.catalog.build`."""
    if name == "unet":
        return UNet(in_channels, 0, classes, width)
    if name == "single":
        return UNet(in_channels, heads, classes, width)
    if switch_order not in SWITCH_ORDERS:
        raise unknown("switch_order", switch_order, SWITCH_ORDERS)
    switches = [digit == "1" for digit in name.removeprefix("dual-")]
    return DAINet(in_channels, heads, classes, width, switches if switch_order == "deep-first" else switches[::-1])


def paper_network(model: nn.Module) -> UNet | DAINet:
    """Return the network itself, if it is one of the paper's.

    Raises:
        InputError: it is another one.
    """
    if not isinstance(model, UNet | DAINet):
        raise InputError(f"found a {type(model).__name__}; expected a U-Net or a dual encoder (docs/architecture.md)")
    return model


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_flops(work: Callable[[], object]) -> int:
    """Count the floating-point operations of one call, two per multiply-add, with torch's counter.

    Attention is computed in single products meanwhile: the counter does not see the fused kernel of a CPU.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def _check_size(image: Tensor) -> None:
    step = 2**_POOLINGS
    height, width = image.shape[-2:]
    if height % step or width % step or not height or not width:
        larger = tuple(-(-side // step) * step for side in (height, width))
        raise InputError(f"image of {height} x {width} px; expected multiples of {step}, such as {larger}")


def _required(attention: Tensor | None, heads: int) -> Tensor:
    if attention is None or attention.shape[1] != heads:
        found = "none" if attention is None else f"{attention.shape[1]} maps"
        raise ValueError(f"attention: found {found}; expected {heads}, one map per head")
    return attention
