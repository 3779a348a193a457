"""The explorer's pictures: arrays in, HTML with an embedded PNG out."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image
from scipy.ndimage import binary_erosion

from dainet.reporting.figures import gray, label_overlay

__all__ = ["ERROR_COLORS", "figure_html", "map_picture", "slice_pictures"]

# Okabe and Ito's palette, whose colors differ for all kinds of color vision.
ERROR_COLORS = {"missed": "#56b4e9", "added": "#e69f00", "other": "#cc79a7"}
_LEGENDS = {
    "Outlines": "Outlines (white: truth)",
    "Errors": " ".join(
        f'<span><span class="chip" style="background:{c}"></span>{name}</span>' for name, c in ERROR_COLORS.items()
    ),
}
_SIDE = 288  # px at least, so that outlines are finer than pixels of the slice
_LINE = 2  # px


def slice_pictures(
    image: np.ndarray, label: np.ndarray, prediction: np.ndarray | None, colors: Sequence[str], opacity: float
) -> dict[str, np.ndarray]:
    """Draw the same slice five times: alone, with its truth, with the prediction, with both outlines, with the errors.

    Args:
        image: [H, W], any range.
        label: [H, W], 0 = background.
        prediction: [H, W]; None leaves the last three out.
        colors: of the labels 1, 2, 3 ...
        opacity: of colors over the image, 0..1.

    Returns:
        Title -> [k H, k W, 3] in [0, 1].
    """
    factor = math.ceil(_SIDE / min(image.shape))
    image, label = _enlarged(image, factor), _enlarged(label, factor)
    plain = np.repeat(gray(image)[..., None], 3, axis=-1)
    pictures = {"Slice": plain, "Ground truth": label_overlay(image, label, colors, opacity)}
    if prediction is not None:
        prediction = _enlarged(prediction, factor)
        pictures["Prediction"] = label_overlay(image, prediction, colors, opacity)
        pictures["Outlines"] = _outlined(_outlined(plain, label, ["white"] * len(colors)), prediction, colors)
        pictures["Errors"] = label_overlay(image, _errors(label, prediction), list(ERROR_COLORS.values()), 0.8)
    return pictures


def map_picture(attention: np.ndarray, color_map: str) -> np.ndarray:
    """Color an attention map [H, W] from its lowest to its highest value, by a color map of matplotlib [H, W, 3]."""
    low, high = float(attention.min()), float(attention.max())
    scaled = (attention - low) / (high - low or 1.0)
    return matplotlib.colormaps[color_map](scaled)[..., :3]


def figure_html(picture: np.ndarray | None, title: str, description: str) -> str:
    """Embed a picture in HTML, with words for readers who do not see it.

    Args:
        picture: [H, W, 3] in [0, 1]; None = a frame that says so.
        title: written below; "" = nothing.
        description: read aloud by a screen reader.
    """
    caption = f"<figcaption>{_LEGENDS.get(title, escape(title))}</figcaption>" if title else ""
    if picture is None:
        words = (
            f'<div class="empty" role="img" aria-label="{escape(description)}: not computed yet">not computed yet</div>'
        )
        return f"<figure>{words}{caption}</figure>"
    buffer = BytesIO()
    Image.fromarray((picture * 255).round().astype(np.uint8)).save(buffer, "PNG", compress_level=1)
    source = b64encode(buffer.getvalue()).decode()
    return f'<figure><img src="data:image/png;base64,{source}" alt="{escape(description)}">{caption}</figure>'


def _enlarged(array: np.ndarray, factor: int) -> np.ndarray:
    return np.asarray(array).repeat(factor, axis=0).repeat(factor, axis=1)


def _outlined(picture: np.ndarray, label: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    picture = picture.copy()
    for number, color in enumerate(colors, start=1):
        mask = label == number
        picture[mask & ~binary_erosion(mask, iterations=_LINE, border_value=1)] = to_rgb(color)
    return picture


def _errors(label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """0 right, 1 missed (background where a class is), 2 added (a class on background), 3 another class."""
    wrong = label != prediction
    return np.select([wrong & (prediction == 0), wrong & (label == 0), wrong], [1, 2, 3], 0)
