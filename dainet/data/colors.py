"""Colors for any number of classes, which readers with every kind of color vision can tell apart as far as possible."""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib.colors import to_hex, to_rgb

__all__ = ["class_colors"]

# The palette of Okabe and Ito for all kinds of color vision, without black and gray, which a scan has itself.
_FIRST = ("#d55e00", "#009e73", "#0072b2", "#f0e442", "#cc79a7", "#56b4e9", "#e69f00")
# Linear RGB as seen without the cones for long, middle and short waves (Machado et al. 2009, severity 1).
_DICHROMATS = np.array(
    [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
)
_DICHROMATS_COUNT = 2.0  # distances in their smaller color space count more, or they would decide alone
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _XYZ.sum(1)  # D65
_LEVELS = 8  # of red, green and blue in the colors to choose from
_LIGHTNESS, _CHROMA = (30, 92), 25  # neither black, white nor gray


@cache
def class_colors(count: int) -> tuple[str, ...]:
    """Return `count` different colors as #rrggbb; those of fewer classes are the first of more.

    The first seven are Okabe's and Ito's. Each further one is the color that is farthest from all before it in CIELAB,
    by the closest pair that readers with normal, protan, deutan or tritan vision see.

    Raises:
        ValueError: more than 255 classes, which no label volume of 8 bits holds.
    """
    if count > 255:
        raise ValueError(f"{count} classes; expected at most 255")
    levels = np.linspace(0, 1, _LEVELS)
    choice = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    lightness, red_green, blue_yellow = _seen(choice)[0].T
    low, high = _LIGHTNESS
    choice = choice[(lightness >= low) & (lightness <= high) & (np.hypot(red_green, blue_yellow) >= _CHROMA)]
    chosen, seen = [np.array(to_rgb(color)) for color in _FIRST], _seen(choice)
    nearest = np.min([_distance(seen, color) for color in chosen], axis=0)
    while len(chosen) < count:
        chosen.append(choice[np.argmax(nearest.round(1))])  # rounded, so that every machine chooses alike
        nearest = np.minimum(nearest, _distance(seen, chosen[-1]))
    return tuple(to_hex(tuple(color)) for color in chosen[:count])


def _distance(seen: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Distances [n] between the colors in `seen` and another one, for the vision that tells them apart worst."""
    distances = np.linalg.norm(seen - _seen(color[None]), axis=-1)
    distances[1:] *= _DICHROMATS_COUNT
    return np.asarray(distances.min(0))


def _seen(rgb: np.ndarray) -> np.ndarray:
    """CIELAB [4, n, 3] of the colors [n, 3] for normal, protan, deutan and tritan vision."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    views = np.stack([linear, *(linear @ matrix.T for matrix in _DICHROMATS)]).clip(0, 1)
    x, y, z = np.moveaxis(np.cbrt(views @ _XYZ.T / _WHITE), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
