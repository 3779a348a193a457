"""The explorer's drawing of the network, lit where attention flows, as SVG."""

from __future__ import annotations

from html import escape

from dainet.explorer.predictor import Choice

__all__ = ["DRAWING_SIZE", "SWITCH_PLACES", "network_drawing"]

# All lengths are px of the drawing, whose rows are the levels: 1/1, 1/2, 1/4, 1/8, and the bottleneck below.
DRAWING_SIZE = 372, 222
_ROWS = (48, 88, 128, 168, 208)
_BLOCK_WIDTHS = (84, 70, 56, 42, 34)
_IMAGE_X, _DECODER_X, _MAPS_X = 56, 176, 310  # middle of each column
_SWITCH_X = 243

# Middle of the switch of each level, full resolution first, for the buttons that lie on the drawing.
SWITCH_PLACES = tuple((_SWITCH_X, y) for y in _ROWS[:4])


def network_drawing(choice: Choice, deep_first: bool) -> str:
    """Draw the network of a choice as SVG: what is on has color, what is off is dashed and pale.

    Args:
        choice: see `Choice`.
        deep_first: switch (1) is the skip at 1/8 resolution; otherwise it is the skip at full resolution.
    """
    dual, single = choice.model == "dual", choice.model == "single"
    skips = choice.skips_on[::-1] if deep_first else choice.skips_on  # full resolution first
    heads = f"{sum(choice.heads_on)} of {len(choice.heads_on)} maps" if choice.source else "no maps"
    parts = [
        _text(_IMAGE_X, 14, "slice" + (" + " + heads if single else "")),
        _text(_MAPS_X, 14, heads if dual else "no attention encoder"),
        _text(_DECODER_X, 14, "prediction"),
        *(_line(_IMAGE_X, 19, _IMAGE_X, 37, True), _line(_MAPS_X, 19, _MAPS_X, 37, dual and any(choice.heads_on))),
        _line(_DECODER_X, 37, _DECODER_X, 19, True),
    ]
    for x, kind, on in ((_IMAGE_X, "image", True), (_DECODER_X, "decoder", True), (_MAPS_X, "maps", dual)):
        parts.append(_line(x, _ROWS[0], x, _ROWS[3] if kind == "decoder" else _ROWS[4], on))
    for y, on in zip(_ROWS, skips, strict=False):
        parts.append(_line(_IMAGE_X, y, _DECODER_X, y, True))
        parts.append(_line(_MAPS_X, y, _DECODER_X, y, dual and on, "switched"))
    parts += [
        _line(_IMAGE_X, _ROWS[4], _DECODER_X, _ROWS[4], True),
        _line(_MAPS_X, _ROWS[4], _DECODER_X, _ROWS[4], dual),
        _line(_DECODER_X, _ROWS[4], _DECODER_X, _ROWS[3], True),
    ]
    for level, (y, width) in enumerate(zip(_ROWS, _BLOCK_WIDTHS, strict=True)):
        scale = f"1/{2**level}"
        parts.append(_block(_IMAGE_X, y, width, "image", scale, True))
        parts.append(_block(_MAPS_X, y, width, "maps", scale, dual))
        if level < 4:
            parts.append(_block(_DECODER_X, y, width, "decoder", scale, True))
    words = escape(_in_words(choice))
    width, height = DRAWING_SIZE
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{words}">{"".join(parts)}</svg>'


def _in_words(choice: Choice) -> str:
    if choice.model == "unet":
        return "U-Net: the slice alone goes through an encoder and a decoder"
    heads = ", ".join(str(i + 1) for i, on in enumerate(choice.heads_on) if on) or "none"
    if choice.model == "single":
        return f"Single encoder: slice and attention maps together; heads on: {heads}"
    skips = ", ".join(f"({i + 1})" for i, on in enumerate(choice.skips_on) if on) or "none"
    return f"Dual encoder; heads on: {heads}; skips of the attention encoder on: {skips}"


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x}" y="{y}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, on: bool, kind: str = "") -> str:
    return f'<line class="{"on" if on else "off"} {kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _block(x: float, y: float, width: float, kind: str, text: str, on: bool) -> str:
    box = f'<rect x="{x - width / 2}" y="{y - 11}" width="{width}" height="22" rx="3"/>'
    return f'<g class="{kind} {"on" if on else "off"}">{box}<text x="{x}" y="{y + 4}">{text}</text></g>'
