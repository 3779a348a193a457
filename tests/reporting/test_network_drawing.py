"""The drawing of a network: everything is there, and nothing covers anything else."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from torch import nn

from dainet.reporting.network_drawing import draw_network
from dainet.reporting.network_stages import find_stages
from dainet.segmentation.catalog import build
from tests.reporting.test_network_stages import Tokens


def network(name: str) -> nn.Module:
    return Tokens() if name == "tokens" else build(name, width=32)


def boxes(figure: Figure) -> list[Bbox]:
    return [patch.get_window_extent() for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def overlap(a: Bbox, b: Bbox) -> bool:
    found = Bbox.intersection(a, b)
    return found is not None and min(found.width, found.height) > 0.5


@pytest.mark.parametrize("name", ["unet", "single", "dual-1111", "tokens"])
def test_boxes_and_their_labels_are_apart_and_on_the_page(name: str) -> None:
    model, inputs = network(name), (torch.zeros(1, 1, 224, 224), torch.zeros(1, 6, 224, 224))
    if name == "tokens":
        inputs = (torch.zeros(1, 1, 64, 64),) * 2
    stages = find_stages(model, *inputs)
    figure = draw_network(model, *inputs, title=name)
    upright = [text for text in figure.axes[0].texts if not text.get_rotation()]
    places = boxes(figure) + [text.get_window_extent() for text in upright]
    assert len(boxes(figure)) == len(stages)
    assert len(upright) == len(stages) + len({stage.level for stage in stages}) + 1  # and the title
    assert not [pair for pair in combinations(places, 2) if overlap(*pair)]
    page = figure.bbox.padded(0.5)
    legend = figure.legends[0].get_window_extent()
    assert page.contains(legend.x0, legend.y0)
    assert page.contains(legend.x1, legend.y1)
    for text in figure.axes[0].texts:
        x0, y0, x1, y1 = text.get_window_extent().extents
        assert page.contains(x0, y0), text
        assert page.contains(x1, y1), text


def test_boxes_grow_with_pixels_and_channels() -> None:
    first, second = boxes(draw_network(build("unet", width=8), torch.zeros(1, 1, 64, 64)))[1:3]
    assert first.height > second.height
    assert first.width < second.width


def test_the_drawing_says_what_it_shows() -> None:
    figure = draw_network(build("unet", classes=3, width=8), torch.zeros(1, 1, 64, 96), title="a U-Net")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "3 × 64×96\n27" in texts  # a head with 8 weights and a bias for each class
    assert "a U-Net" in str(figure.get_label())
    names = [text.get_text() for text in figure.axes[0].texts if text.get_rotation()]
    assert names == [stage.name for stage in find_stages(build("unet", width=8), torch.zeros(1, 1, 64, 96))]
