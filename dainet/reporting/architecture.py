"""Figure 2 of the paper, drawn from a network: every block, channel number and switch is read from its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerPatch, HandlerTuple
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle
from torch import nn

from dainet.errors import unknown
from dainet.reporting.charts import new_figure
from dainet.reporting.shapes import BLUE, EDGE, GRAY, ORANGE, PINK, Point, arrow, put_text
from dainet.reporting.style import in_style
from dainet.segmentation.networks import SWITCH_ORDERS, DAINet, Encoder, UNet, paper_network, parameter_count

__all__ = ["architecture_figure"]

# Lengths are inches on the page.
_START = 1.1  # left edge of the encoders
_SLAB = 0.16  # width of one convolution or one concatenated tensor
_GAPS = (0.23, 0.28)  # between the blocks of an encoder, of the decoder
_TALLEST = 1.45  # at full resolution; half the resolution is drawn 0.7 times as high, so that numbers fit everywhere
_LANES = (0.45, 0.23)  # the deepest skip's distance from its encoder's middle line, and from skip to skip
_IMAGE, _MAPS, _DECODER, _HEAD = BLUE, ORANGE, GRAY, PINK
_POOL, _UP, _SOFTMAX, _JOIN, _OFF = "#d55e00", "#009e73", "#9c3f83", EDGE, "#a8a8a8"


@dataclass(frozen=True)
class _Block:
    """Place of adjacent slabs: edges, middle line and height; `level` counts the poolings before."""

    left: float
    right: float
    middle: float
    height: float
    level: int
    channels: int  # that leave it


@in_style
def architecture_figure(model: nn.Module, switch_order: str = "deep-first") -> Figure:
    """Draw Figure 2 of the paper for a network: encoders left, decoder right, skips and switches between them.

    Args:
        model: its channels, levels, heads, classes and switches are drawn as built.
        switch_order: "deep-first" names the 1/8 skip (1) and the full-resolution skip (4), "shallow-first" the
            reverse; as in `dainet.segmentation.catalog.build` (docs/protocol.md#5.21).

    Raises:
        InputError: the network is not one of the paper's, or the switch order is unknown.
    """
    if switch_order not in SWITCH_ORDERS:
        raise unknown("switch_order", switch_order, SWITCH_ORDERS)
    model = paper_network(model)
    dual = isinstance(model, DAINet)
    figure = new_figure(10, 5.5 if dual else 3.3, _in_words(model), layout=None)
    left = 0.0 if dual else -0.7  # without the second encoder's slabs the drawing is narrower
    ax = figure.add_axes((0, 0, 1, 1), xlim=(left, left + 10), ylim=(0, figure.get_figheight()))
    ax.set_axis_off()
    if isinstance(model, DAINet):
        _draw_dual(ax, model, switch_order)
    else:
        _draw_single(ax, model)
    put_text(ax, left + 9.85, 0.62, f"{parameter_count(model) / 1e6:.2f} M parameters", ha="right")
    _draw_legend(figure, dual)
    return figure


def _in_words(model: UNet | DAINet) -> str:
    if not isinstance(model, DAINet):
        return "Drawing of a U-Net: an encoder and a decoder, joined by a skip connection at every resolution"
    on = sum(model.skips_on)
    return (
        "Drawing of the dual encoder: image and attention maps have an encoder each; the two are joined at the "
        f"bottleneck, and {on} of {len(model.skips_on)} skip connections lead from the attention encoder to the decoder"
    )


def _draw_dual(ax: Axes, model: DAINet, switch_order: str) -> None:
    image_y, decoder_y, maps_y = 4.2, 3.12, 2.04
    image = _draw_encoder(ax, model.image_encoder, image_y, _IMAGE, label_side=-1)
    maps = _draw_encoder(ax, model.attention_encoder, maps_y, _MAPS, label_side=1)
    channels = _convolutions(model.image_encoder)[0].in_channels
    _draw_input(ax, image_y, [_IMAGE] * channels, f"Image\n{_counted(channels, 'channel')}")
    _draw_input(ax, maps_y, [_MAPS] * model.heads, f"Attention maps\n{_counted(model.heads, 'head')}")
    put_text(ax, image[2].left, image_y - 0.75, "Image encoder", 9, ha="left", weight="bold")
    put_text(ax, maps[2].left, maps_y + 0.75, "Attention encoder", 9, ha="left", weight="bold")
    bottleneck = _draw_bottleneck(ax, image[-1], maps[-1], decoder_y)
    states = [(True, on) for on in model.skips_on]
    ends = _draw_decoder(ax, model, bottleneck, [image, maps], states)
    for i, ((_, on), (image_end, maps_end)) in enumerate(zip(states, ends, strict=True)):
        level, lane = len(ends) - 1 - i, _LANES[0] + i * _LANES[1]
        _draw_skip(ax, image[level], image_y + lane, image_end, on=True)
        _draw_skip(ax, maps[level], maps_y - lane, maps_end, on)
        number = i + 1 if switch_order == "deep-first" else level + 1
        _draw_switch(ax, (bottleneck.left + bottleneck.right) / 2, maps_y - lane, number, on)


def _draw_single(ax: Axes, model: UNet) -> None:
    middle, total = 1.86, _convolutions(model.encoder)[0].in_channels
    image_channels = total - model.heads
    text = f"Image\n{_counted(total, 'channel')}"
    if model.heads:
        text = f"Image and\nattention maps\n{image_channels} + {model.heads} channels"
    _draw_input(ax, middle, [_MAPS] * model.heads + [_IMAGE] * image_channels, text)
    blocks = _draw_encoder(ax, model.encoder, middle, _IMAGE, label_side=-1)
    put_text(ax, blocks[0].left + _SLAB - 0.08, middle + _TALLEST / 2 + 0.14, "Encoder", 9, ha="right", weight="bold")
    ends = _draw_decoder(ax, model, blocks[-1], [blocks], [(True,)] * (len(blocks) - 1))
    for i, (end,) in enumerate(ends):
        _draw_skip(ax, blocks[len(ends) - 1 - i], middle + _LANES[0] + i * _LANES[1], end, on=True)


def _draw_encoder(ax: Axes, encoder: Encoder, middle: float, color: str, label_side: int) -> list[_Block]:
    """Draw blocks from full resolution down, with pooling between; resolutions stand below (-1) or above (1)."""
    blocks: list[_Block] = []
    for level, layers in enumerate(encoder.blocks):
        left = blocks[-1].right + _GAPS[0] if blocks else _START
        if blocks:
            arrow(ax, [(blocks[-1].right, middle), (left, middle)], _POOL)
        blocks.append(_draw_block(ax, layers, left, middle, level, color, label_side))
    return blocks


def _draw_bottleneck(ax: Axes, image: _Block, maps: _Block, middle: float) -> _Block:
    """Draw the last features of both encoders next to each other (section 3.3: "concatenated at the bottleneck")."""
    left = image.right + _GAPS[1]
    for i, (block, color) in enumerate(((image, _IMAGE), (maps, _MAPS))):
        x = left + (i + 0.5) * _SLAB
        edge = middle + (block.height / 2 if block.middle > middle else -block.height / 2)
        arrow(ax, [(block.right, block.middle), (x, block.middle), (x, edge)], _JOIN)
        _draw_slab(ax, left + i * _SLAB, middle, block.height, color, block.channels, copied=True)
    return _Block(left, left + 2 * _SLAB, middle, image.height, image.level, image.channels + maps.channels)


def _draw_decoder(
    ax: Axes, model: UNet | DAINet, below: _Block, encoders: Sequence[list[_Block]], states: Sequence[Sequence[bool]]
) -> list[list[Point]]:
    """Draw upsampled slab, one slab per skip and convolutions of every level, deepest first, then the output.

    `states` says per level which encoder's skip is on. Returns per level where each encoder's skip ends: the first
    comes from above, the second from below.
    """
    ends = []
    for up, layers, on in zip(model.decoder.ups, model.decoder.blocks, states, strict=True):
        left, middle, level = below.right + _GAPS[1], below.middle, below.level - 1
        height = _height(level)
        arrow(ax, [(below.right, middle), (left, middle)], _UP)
        _draw_slab(ax, left, middle, height, _DECODER, _convolutions(up)[0].out_channels, copied=True)
        for i, encoder in enumerate(encoders):
            color, channels = (_IMAGE, _MAPS)[i], encoder[level].channels if on[i] else 0
            _draw_slab(ax, left + (i + 1) * _SLAB, middle, height, color, channels, copied=True)
        ends.append([(left + (i + 1.5) * _SLAB, middle + (0.5 - i) * height) for i in range(len(encoders))])
        left += (len(encoders) + 1) * _SLAB
        below = _draw_block(ax, layers, left, middle, level, _DECODER, label_side=-1)
    put_text(ax, below.left, below.middle + below.height / 2 + 0.14, "Decoder", 9, ha="left", weight="bold")
    _draw_output(ax, model.head.out_channels, below)
    return ends


def _draw_block(
    ax: Axes, layers: nn.Module, left: float, middle: float, level: int, color: str, label_side: int
) -> _Block:
    """Draw one slab per convolution, and the resolution at one side."""
    channels = [layer.out_channels for layer in _convolutions(layers)]
    height, right = _height(level), left + len(channels) * _SLAB
    for i, number in enumerate(channels):
        _draw_slab(ax, left + i * _SLAB, middle, height, color, number)
    put_text(ax, (left + right) / 2, middle + label_side * (height / 2 + 0.1), f"1/{2**level}" if level else "1")
    return _Block(left, right, middle, height, level, channels[-1])


def _draw_slab(
    ax: Axes, left: float, middle: float, height: float, color: str, channels: int, copied: bool = False
) -> None:
    """Draw a tensor with its channels: outlined after a convolution, pale if copied, dashed and empty without any."""
    fill: dict[str, Any] = {"facecolor": color, "edgecolor": _JOIN, "linewidth": 0.8}
    if copied:
        fill = {"facecolor": (color, 0.45), "edgecolor": "white", "linewidth": 0.8}
    if not channels:
        fill = {"facecolor": "white", "edgecolor": _OFF, "linewidth": 0.8, "linestyle": "--"}
    ax.add_patch(Rectangle((left, middle - height / 2), _SLAB, height, **fill))
    if channels:
        put_text(ax, left + _SLAB / 2, middle, str(channels), 7.5, rotation=90)


def _draw_input(ax: Axes, middle: float, sheets: Sequence[str], text: str) -> None:
    """Draw one sheet per input channel, text below, and the line to the first block."""
    right = _draw_sheets(ax, 0.26, middle, sheets)
    ax.plot([right, _START], [middle, middle], color=_JOIN, linewidth=0.8)
    put_text(ax, 0.55, middle - 0.36, text, va="top")


def _draw_output(ax: Axes, classes: int, last: _Block) -> None:
    """Draw the 1 x 1 convolution, the softmax and one sheet per class."""
    left, middle = last.right + _GAPS[0] / 2, last.middle
    _draw_slab(ax, left, middle, last.height, _HEAD, classes)
    put_text(ax, left + _SLAB / 2 + 0.08, middle - last.height / 2 - 0.1, "1 × 1")
    arrow(ax, [(left + _SLAB, middle), (left + _SLAB + _GAPS[1], middle)], _SOFTMAX)
    right = _draw_sheets(ax, left + _SLAB + _GAPS[1], middle, [_HEAD] * classes)
    put_text(ax, right - 0.27, middle - 0.36, f"Segmentation\n{_counted(classes, 'class')}", va="top")


def _draw_sheets(ax: Axes, left: float, middle: float, colors: Sequence[str]) -> float:
    """Draw squares behind each other, the last color in front; return the right edge."""
    step = min(0.04, 0.16 / max(1, len(colors) - 1))
    reach = step * (len(colors) - 1)
    for i, color in enumerate(colors):
        corner = (left + reach - i * step, middle - 0.21 + reach / 2 - i * step)
        ax.add_patch(Rectangle(corner, 0.42, 0.42, facecolor=color, edgecolor=_JOIN, linewidth=0.6))
    return left + reach + 0.42


def _draw_skip(ax: Axes, source: _Block, lane: float, end: Point, on: bool) -> None:
    """Draw a skip from the block to its lane, along it, and to the slab in the decoder."""
    x = (source.left + source.right) / 2
    edge = source.middle + (source.height / 2 if lane > source.middle else -source.height / 2)
    arrow(ax, [(x, edge), (x, lane), (end[0], lane), end], _JOIN if on else _OFF, "-" if on else "--")


def _draw_switch(ax: Axes, x: float, y: float, number: int, on: bool) -> None:
    color = _JOIN if on else _OFF
    box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": color, "linestyle": "-" if on else "--"}
    put_text(ax, x, y, f"({number}) = {int(on)}", 7.5, color="black" if on else "#6a6a6a", bbox=box)


def _draw_legend(figure: Figure, dual: bool) -> None:
    """Draw the paper's legend, with an entry for an open switch."""
    blocks = tuple(Patch(facecolor=c, edgecolor=_JOIN) for c in ((_IMAGE, _MAPS) if dual else (_IMAGE,)) + (_DECODER,))
    entries: dict[str, Any] = {"Convolution, ReLU + Batch Norm": blocks}
    arrows = {"Max. Pooling": _POOL, "Transposed Convolution": _UP, "Concatenation": _JOIN, "Softmax": _SOFTMAX}
    entries |= {text: FancyArrowPatch((0, 0), (1, 0), color=color) for text, color in arrows.items()}
    if dual:
        entries["Switch = 0: off"] = FancyArrowPatch((0, 0), (1, 0), color=_OFF, linestyle="--")
    handlers = {tuple: HandlerTuple(ndivide=None, pad=0.1), FancyArrowPatch: HandlerPatch(_legend_arrow)}
    style: dict[str, Any] = {"fontsize": 8, "frameon": False, "handler_map": handlers, "columnspacing": 1.4}
    figure.legend(entries.values(), entries.keys(), loc="lower center", ncols=len(entries), **style)


def _legend_arrow(*, xdescent: float, ydescent: float, width: float, height: float, **_: Any) -> FancyArrowPatch:
    y = height / 2 - ydescent
    return FancyArrowPatch((-xdescent, y), (width - xdescent, y), arrowstyle="-|>", mutation_scale=9, shrinkA=0)


def _height(level: int) -> float:
    return _TALLEST / 2 ** (level / 2)


def _convolutions(module: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]


def _counted(number: int, noun: str) -> str:
    plural = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"
