"""A heart with the names of its parts, for readers who have never seen one on a scan."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy import ndimage

from dainet.errors import InputError
from dainet.protocol import CLASSES
from dainet.reporting.charts import new_figure
from dainet.reporting.figures import label_overlay
from dainet.reporting.style import in_style

__all__ = ["labeled_heart"]

_PARTS = {
    "RV": "RV: right ventricle,\npumps blood into the lungs",
    "Myo": "Myo: myocardium, the muscle\nthat squeezes the left ventricle",
    "LV": "LV: left ventricle,\npumps blood into the body",
}
_MARGIN = 0.35  # of the heart's longer side, around it
_LINE = {"arrowstyle": "->", "linewidth": 1.4, "path_effects": [withStroke(linewidth=3.5, foreground="white")]}


@in_style
def labeled_heart(image: np.ndarray, label: np.ndarray) -> Figure:
    """Draw the heart of a short-axis slice enlarged, with the names of its three parts and what each does.

    Args:
        image: [H, W], any range.
        label: [H, W] with the classes of ACDC: 0 background, 1 RV, 2 Myo, 3 LV.

    Raises:
        InputError: the slice lacks one of the three; choose one from the middle of the stack.
    """
    names, colors = CLASSES["acdc"].names, CLASSES["acdc"].colors
    if missing := [name for number, name in enumerate(names, 1) if not (label == number).any()]:
        raise InputError(f"this slice has no {', '.join(missing)}; choose one from the middle of the stack")
    box = _square_around(label > 0)
    figure = new_figure(
        8.5, 3.8, "A heart on a slice, in color, with arrows to the right and left ventricle and the muscle"
    )
    panel = figure.subplots()
    panel.imshow(label_overlay(image, label, colors, opacity=0.4)[box])
    panel.set_axis_off()
    _name_parts(panel, label[box])
    return figure


def _square_around(mask: np.ndarray) -> tuple[slice, slice]:
    """Return rows and columns of a square around a mask, with a margin, cut off where the image ends."""
    found = ndimage.find_objects(mask.astype(int))[0]
    half = max(part.stop - part.start for part in found) * (0.5 + _MARGIN)
    rows, columns = ((part.start + part.stop) / 2 for part in found)
    return slice(max(round(rows - half), 0), round(rows + half)), slice(
        max(round(columns - half), 0), round(columns + half)
    )


def _name_parts(panel: Axes, label: np.ndarray) -> None:
    """Write each name on the side on which its part lies, from top to bottom as the parts do."""
    height, width = label.shape
    places = {text: _deepest(label == number) for number, text in enumerate(_PARTS.values(), 1)}
    middle = np.mean([x for _, x in places.values()])
    for left in (True, False):
        texts = sorted((text for text, (_, x) in places.items() if (x < middle) == left), key=lambda text: places[text])
        for row, text in enumerate(texts):
            panel.annotate(
                text,
                xy=places[text][::-1],
                xytext=(-0.05 * width if left else 1.05 * width, height * (row + 0.5) / len(texts)),
                ha="right" if left else "left",
                va="center",
                fontsize=10,
                annotation_clip=False,
                arrowprops=_LINE,
            )


def _deepest(mask: np.ndarray) -> tuple[int, int]:
    """Return row and column of the pixel farthest from the border of a mask: inside it, also where it is a ring."""
    row, column = np.unravel_index(ndimage.distance_transform_edt(mask).argmax(), mask.shape)
    return int(row), int(column)
