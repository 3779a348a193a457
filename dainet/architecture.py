"""Figure 2 of the paper, drawn from a network: every block, channel number and switch is read off its layers."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dainet.charts import new_figure
from dainet.models import DAINet, UNet, parameter_count

__all__ = ["architecture_figure"]

# All lengths are inches on the page.
_SLAB = 0.16  # one convolution or one concatenated tensor
_GAPS = (0.25, 0.3)  # between blocks of an encoder, of the decoder
_TALLEST = 1.45  # full resolution; halving the resolution divides by 2 ** 0.5, so that deep blocks keep room for numbers
_LANES = (0.45, 0.23)  # first skip's distance from the encoder's middle, distance from skip to skip
_IMAGE, _MAPS, _DECODER, _HEAD = "#b9dcf2", "#fbd795", "#d3d3dc", "#e3c3dc"  # readable with any colour vision
_POOL, _UP, _SOFTMAX, _JOIN, _OFF = "#d55e00", "#009e73", "#9c3f83", "#444444", "#b5b5b5"


@dataclass(frozen=True)
class _Block:
    """Where a block of convolutions stands: left and right edge, middle, height, and its last channel number."""

    left: float
    right: float
    middle: float
    height: float
    channels: int


def architecture_figure(model: UNet | DAINet, switch_order: str = "deep-first") -> Figure:
    """Figure 2 of the paper for this network: encoders at the left, decoder at the right, skips and switches between.

    Args:
        model: its channels, levels, heads, classes and switches are drawn as built.
        switch_order: "deep-first" names the 1/8 skip (1) and the full-resolution skip (4), "shallow-first" the
            reverse; as in `dainet.models.build` (PROTOCOL 5.21).

    Raises:
        ValueError: the switch order is unknown.
    """
    if switch_order not in ("deep-first", "shallow-first"):
        raise ValueError(f"switch_order {switch_order!r} is unknown; expected deep-first or shallow-first")
    dual = isinstance(model, DAINet)
    figure = new_figure(10, 5.5 if dual else 3.4, layout=None)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 10), ylim=(0, figure.get_figheight()))
    ax.set_axis_off()
    if isinstance(model, DAINet):
        _draw_dual(ax, model, switch_order)
    else:
        _draw_single(ax, model)
    _text(ax, 9.85, 0.62, f"{parameter_count(model) / 1e6:.2f} M parameters", 8, ha="right")
    _legend(figure, dual)
    return figure


def _draw_dual(ax: Axes, model: DAINet, switch_order: str) -> None:
    image_y, decoder_y, maps_y = 4.2, 3.12, 2.04
    image = _draw_encoder(ax, model.image_encoder, 0.95, image_y, _IMAGE, labels=-1)
    maps = _draw_encoder(ax, model.attention_encoder, 0.95, maps_y, _MAPS, labels=1)
    _draw_input(ax, image_y, "Image", [(_IMAGE, _channels(model.image_encoder.blocks[0])[0])])
    _draw_input(ax, maps_y, "Attention\nmaps", [(_MAPS, model.heads)])
    _text(ax, image[2].left, image_y - 0.73, "Image encoder", 9, ha="left", weight="bold")
    _text(ax, maps[2].left, maps_y + 0.73, "Attention encoder", 9, ha="left", weight="bold")
    bottleneck = _draw_bottleneck(ax, image[-1], maps[-1], decoder_y)
    image_ends, maps_ends, last = _draw_decoder(ax, model, bottleneck, [image, maps])
    depth = len(model.skips_on)
    for i, (on, image_end, maps_end) in enumerate(zip(model.skips_on, image_ends, maps_ends, strict=True)):
        lane = _LANES[0] + i * _LANES[1]
        _draw_skip(ax, image[depth - 1 - i], image_end, image_y + lane, True)
        _draw_skip(ax, maps[depth - 1 - i], maps_end, maps_y - lane, on)
        number = i + 1 if switch_order == "deep-first" else depth - i
        _draw_switch(ax, (bottleneck.left + bottleneck.right) / 2, maps_y - lane, number, on)
    _draw_output(ax, model.head, last)


def _draw_single(ax: Axes, model: UNet) -> None:
    middle = 1.78
    blocks = _draw_encoder(ax, model.encoder, 0.95, middle, _IMAGE, labels=-1)
    image_channels = _channels(model.encoder.blocks[0])[0] - model.heads
    sheets = [(_IMAGE, image_channels), (_MAPS, model.heads)] if model.heads else [(_IMAGE, image_channels)]
    _draw_input(ax, middle, "Image and\nattention maps" if model.heads else "Image", sheets)
    (ends,), last = _draw_decoder(ax, model, blocks[-1], [blocks])[:-1], _draw_nothing()
