"""The chart of accuracy against cost: what it shows, and that names can be read."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dainet.errors import InputError
from dainet.reporting.cost_chart import FAMILIES, cost_chart, family
from dainet.segmentation.catalog import BASELINES


def costs(names: list[str]) -> pd.DataFrame:
    """Make costs of names, some of them nearly equal."""
    count = np.arange(len(names))
    numbers = {"GFLOP per image": 10.0 * 1.1 ** (count // 2), "Parameters (M)": 1.0 + 9 * count}
    return pd.DataFrame({"Network": names} | numbers)


def test_every_network_of_the_catalog_has_a_family() -> None:
    assert {family(name) for name in ["unet", "single", "dual-0110", *BASELINES]} == set(FAMILIES)
    assert family("r50-vit-cup-small") == family("transunet") != family("r50-unet") == family("nnunet-2d-small")
    assert family("my-own") == family("unet-of-mine.py:wide") == "other"


def test_names_cover_nothing_and_stand_next_to_their_dot() -> None:
    names = [name for name in BASELINES if not name.endswith("-small")]
    figure = cost_chart(costs(names), {name: 90 + 0.2 * (i % 4) for i, name in enumerate(names)})
    panel = figure.axes[0]
    figure.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in panel.texts}
    assert set(boxes) == set(names)
    assert not [pair for pair in combinations(boxes, 2) if boxes[pair[0]].overlaps(boxes[pair[1]])]
    texts: Any = panel.texts
    for text in texts:
        x, y = panel.transData.transform(text.xy)
        box = boxes[text.get_text()]
        away = np.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))
        assert away * 72 / figure.dpi < 65, text


def test_only_networks_with_costs_and_a_score_are_shown_in_their_place() -> None:
    figure = cost_chart(costs(["unet", "vit", "mt-unet"]), {"unet": 80.0, "mt-unet": 70.0, "swin-unet": 90.0})
    dots: Any = figure.axes[0].collections[0]
    assert np.allclose(np.asarray(dots.get_offsets()), [[11.0, 70.0], [10.0, 80.0]])  # the largest is drawn first
    large, small = dots.get_sizes()
    assert large > small
    colors = dots.get_facecolors()
    assert not np.allclose(colors[0], colors[1])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [family("unet"), family("mt-unet"), "10 M parameters"]


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(InputError, match=r"unet.*vit"):
        cost_chart(costs(["unet"]), {"vit": 80.0})
