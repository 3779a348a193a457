"""Rows of differences: each with its two intervals, in their order, and labels that fit."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy import stats

from dainet.compare.analysis import Difference
from dainet.compare.intervals import IntervalRow, draw_intervals, fold_label
from dainet.reporting.charts import new_figure

ROWS = [
    IntervalRow("first", Difference(1.0, 0.5, 8), "#009e73", paper=0.33),
    IntervalRow("second", Difference(-0.2, 0.1, 30), "#555555"),
]


def test_rows_stand_from_the_top_with_their_intervals_and_the_margin_behind() -> None:
    panel = new_figure(5, 3, "intervals").subplots()
    draw_intervals(panel, ROWS, margin=0.3)
    assert [label.get_text() for label in panel.get_yticklabels()] == ["second", "first"]
    for height, row in enumerate(reversed(ROWS)):
        lines = [line for line in panel.lines if to_hex(line.get_color()) == row.color]
        thin, thick, dot = (np.array(line.get_xydata()) for line in lines)
        for drawn, level in ((thin, 0.95), (thick, 0.90)):
            expected = stats.t(row.result.freedom, row.result.estimate, row.result.error).interval(level)
            np.testing.assert_allclose(drawn, [[end, height] for end in expected])
        assert dot.tolist() == [[row.result.estimate, height]]
        assert lines[0].get_linewidth() < lines[1].get_linewidth()
    (paper,) = (line for line in panel.lines if line.get_marker() == "D")
    assert np.array(paper.get_xydata()).tolist() == [[0.33, 1]], "only the first row has the number of a paper"
    (band,) = panel.patches
    assert band.get_extents().transformed(panel.transData.inverted()).intervalx == pytest.approx((-0.3, 0.3))
    low, high = panel.get_ylim()
    assert low < 0 < 1 < high


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("unet", 4, ["unet"]),
        ("my_net.py:wide", 10, ["my_net.py:", "wide"]),
        ("my_net.py:wide", 9, ["my_net.", "py:wide"]),
        ("the second word", 11, ["the second", "word"]),
        ("indivisible-word", 3, ["indivisible-", "word"]),
        ("", 3, [""]),
    ],
)
def test_long_labels_break_only_after_a_mark(text: str, width: int, lines: list[str]) -> None:
    assert fold_label(text, width).split("\n") == lines
