"""Colors of classes differ for every reader; measured by Pillow's CIELAB and another model of color vision."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image, ImageCms

from dainet.data.colors import class_colors

# Viénot, Brettel and Mollon 1999: what protanopes and deuteranopes see, in linear RGB.
PROTAN = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
DEUTAN = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


def closest(colors: tuple[str, ...], vision: np.ndarray) -> float:
    """Return the smallest distance in CIELAB of any two colors."""
    rgb = np.array([to_rgb(color) for color in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ vision.T
    seen = np.clip(linear, 0, 1) ** (1 / 2.2)
    picture = Image.fromarray((255 * seen[None]).round().astype(np.uint8), "RGB")
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = np.asarray(ImageCms.applyTransform(picture, to_lab)).astype(np.uint8)[0].astype(float)
    lab[:, 1:] = lab[:, 1:].astype(np.uint8).astype(np.int8)  # a and b have signs
    lab[:, 0] *= 100 / 255
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return float(distances[~np.eye(len(lab), dtype=bool)].min())


@pytest.mark.parametrize(("count", "normal", "dichromat"), [(7, 25, 12), (15, 25, 8), (20, 20, 6), (30, 15, 4)])
def test_classes_can_be_told_apart(count: int, normal: float, dichromat: float) -> None:
    colors = class_colors(count)
    assert closest(colors, np.eye(3)) > normal
    assert min(closest(colors, vision) for vision in (PROTAN, DEUTAN)) > dichromat


def test_as_many_as_a_label_volume_holds_all_differ_and_none_is_gray() -> None:
    colors = class_colors(255)
    assert len(set(colors)) == 255
    assert all(max(to_rgb(color)) - min(to_rgb(color)) > 0.1 for color in colors)
    assert colors[:20] == class_colors(20)
    with pytest.raises(ValueError, match="256"):
        class_colors(256)
