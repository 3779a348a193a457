"""How one row of a softmax becomes a map, and six heads give six maps (notebook 03, section 3.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from book.stories.our_patient import OurPatient
from book.stories.svg import ACCENT, GRAY, ORANGE, Step, Story, arrow, box, colored, line, picture, text
from dainet.attention.maps import last_block_input
from dainet.explorer.pictures import map_picture
from dainet.vit.model import DinoViT

__all__ = ["attention_rows", "softmax_row"]

_SIDE, _ACROSS, _DOWN, _LEFT, _TOP = 156, 200, 222, 24, 40  # of a panel, between panels, and margins
_HEAD = 0  # as in notebook 03; not chosen by its looks


def attention_rows(vit: DinoViT, image: Tensor) -> tuple[Tensor, Tensor]:
    """Compute what CLS asks in the last block, step by step.

    Args:
        vit: the transformer, one without norms of queries and keys, as DINO's are.
        image: [1, 3, H, W], as the ViT takes it.

    Returns:
        Scores and their softmax, both [h, tokens]; the first token is CLS.
    """
    attn: Any = vit.blocks[-1].attn
    with torch.inference_mode():
        x = last_block_input(vit, image)[0]
        q, k, _ = attn.qkv(x).unflatten(1, (3, vit.heads, -1)).permute(1, 2, 0, 3)  # each [h, tokens, d]
        scores = (q[:, :1] @ k.transpose(1, 2) / math.sqrt(q.shape[-1]))[:, 0]
        return scores, scores.softmax(-1)


def softmax_row(patient: OurPatient) -> Story:
    """Tell how CLS's scores of one head become a map on the slice, and that every head has its own."""
    scores, rows = (values.numpy() for values in attention_rows(patient.vit, patient.vit_input))
    score, row, tokens = scores[_HEAD], rows[_HEAD], patient.tokens[0].numpy()
    grid, pixels = tokens.shape[-1], len(patient.picture)
    panels = (
        _patches(patient, grid),
        _panel(1, "CLS asks all", _bars(score - score.min(), 1), f"scores {score.min():.1f} to {score.max():.1f}"),
        _panel(2, "Softmax: sum 1", _bars(row, 2), f"CLS to itself: {row[0]:.3f}", ORANGE),
        _panel(3, f"{grid} × {grid} grid", _map(tokens[_HEAD], 3), f"sum {tokens[_HEAD].sum():.3f}"),
        _panel(4, "On the slice", _over(patient.picture, tokens[_HEAD], 4), f"{pixels} × {pixels} px"),
        _panel(5, "All heads", _all_maps(patient.maps[0].numpy()), "each has its own row"),
    )
    alt = (
        f"Six panels: a slice of a phantom heart cut into {grid**2} patches; the scores of CLS for all tokens; their "
        f"softmax, which sums to 1; the {grid} x {grid} map of head {_HEAD + 1}; this map on the slice; the maps of "
        f"all {len(tokens)} heads."
    )
    steps = tuple(map(Step, _words(score, row, tokens, pixels), panels))
    return Story("softmax_row", "How one softmax row becomes six maps", alt, 462, steps)


def _words(score: np.ndarray, row: np.ndarray, tokens: np.ndarray, pixels: int) -> tuple[str, ...]:
    grid = tokens.shape[-1]
    return (
        f"The vision transformer cuts the slice into {grid} × {grid} patches. Each becomes a token; one more token, "
        "CLS, belongs to no patch.",
        f"In the last block, the query of CLS is compared with the key of each of the {len(row)} tokens: one score per "
        f"token. In head {_HEAD + 1} they lie between {score.min():.1f} and {score.max():.1f}.",
        f"The softmax makes shares of the scores: one row of {len(row)} numbers that sum to 1. The orange one is what "
        f"CLS gives to itself ({row[0]:.3f}). It belongs to no patch and is dropped.",
        f"The other {grid**2} shares are arranged as the patches lie in the slice. The map sums to "
        f"{tokens[_HEAD].sum():.3f}, which is 1 minus the dropped share.",
        f"Each share is repeated over its patch: a map of {pixels} × {pixels} px. "
        "It is as coarse as the patches, whatever its size.",
        f"Each of the {len(tokens)} heads has its own queries and keys, so the block gives {len(tokens)} rows and "
        f"{len(tokens)} maps. Resized and scaled to [0, 1], they enter DAINet's second encoder.",
    )


def _place(number: int) -> tuple[float, float]:
    """Return where the picture of a panel begins."""
    return _LEFT + _ACROSS * (number % 3), _TOP + _DOWN * (number // 3)


def _panel(number: int, title: str, content: str, note: str, color: str = GRAY) -> str:
    x, y = _place(number)
    heading = text(x - 10, y - 13, f"{number + 1}", 19, ACCENT, bold=True) + text(x + 6, y - 13, title, 19, bold=True)
    link = arrow(x - 32, y + _SIDE / 2, x - 10, y + _SIDE / 2, GRAY) if number % 3 else ""
    return heading + content + text(x, y + _SIDE + 20, note, 16, color) + link


def _patches(patient: OurPatient, grid: int) -> str:
    x, y = _place(0)
    lines = [
        line(x + at, y, x + at, y + _SIDE, "#ffffff", 0.6) + line(x, y + at, x + _SIDE, y + at, "#ffffff", 0.6)
        for at in np.linspace(0, _SIDE, grid + 1)[1:-1]
    ]
    drawn = picture(_gray(patient.picture), x, y, _SIDE) + "".join(lines)
    return _panel(0, "Slice in patches", drawn, f"{grid**2} patches, and CLS")


def _bars(values: Sequence[float] | np.ndarray, number: int) -> str:
    """Draw one bar per token, the highest as high as the panel; CLS is wider and orange."""
    x, y = _place(number)
    bottom, wide = y + _SIDE, _SIDE / (len(values) + 4)
    heights = _SIDE * np.asarray(values) / np.max(values)
    rest = "".join(
        f"M{x + (index + 5) * wide:.1f},{bottom}v{-height:.1f}h{wide:.1f}v{height:.1f}z"
        for index, height in enumerate(heights[1:])
    )
    cls = box(x, bottom - heights[0], 4 * wide, heights[0], ORANGE)
    return f'{cls}<path d="{rest}" fill="{ACCENT}"/>' + line(x, bottom, x + _SIDE, bottom, GRAY, 1)


def _map(values: np.ndarray, number: int) -> str:
    return picture(_heat(values), *_place(number), _SIDE)


def _over(image: np.ndarray, tokens: np.ndarray, number: int) -> str:
    """Draw a map, each token repeated over its patch, on the slice."""
    patch = len(image) // len(tokens)
    heat = _heat(tokens).repeat(patch, 0).repeat(patch, 1)
    mixed = 0.55 * heat + 0.45 * _gray(image)[..., None]
    return picture(mixed.round().astype(np.uint8), *_place(number), _SIDE)


def _all_maps(maps: np.ndarray) -> str:
    """Draw the maps [h, S, S] in rows of three; the first is framed, it is the one of the other panels."""
    x, y = _place(5)
    small, apart = 50, 53
    rows = -(-len(maps) // 3)
    y += (_SIDE - apart * rows) / 2
    places = [(x + apart * (head % 3), y + apart * (head // 3)) for head in range(len(maps))]
    drawn = [picture(colored(one), *place, small) for one, place in zip(maps, places, strict=True)]
    return "".join(drawn) + box(*places[_HEAD], small, small, stroke=ORANGE, edge=3)


def _heat(values: np.ndarray) -> np.ndarray:
    return (255 * map_picture(values, "viridis")).round().astype(np.uint8)


def _gray(image: np.ndarray) -> np.ndarray:
    return (255 * image.clip(0, 1)).round().astype(np.uint8)
