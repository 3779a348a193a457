"""The figure of where a patch looks, and its sliders."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from dainet.errors import InputError
from dainet.lessons import patch_attention
from dainet.lessons.patch_attention import choose_patch, patch_attention_figure

IMAGE = np.arange(64.0).reshape(8, 8)
ROWS = torch.arange(2 * 4 * 6 * 4 * 6.0).reshape(2, 4, 6, 4, 6)


def test_each_head_shows_the_row_of_the_chosen_patch() -> None:
    slice_, *heads = patch_attention_figure(IMAGE, ROWS, 1, 5).axes
    assert [panel.get_title() for panel in heads] == ["Head 1", "Head 2"]
    for head, panel in enumerate(heads):
        np.testing.assert_array_equal(panel.images[0].get_array(), ROWS[head, 1, 5])
    frame = slice_.patches[0].get_window_extent().transformed(slice_.transData.inverted())
    np.testing.assert_allclose(sorted(frame.extents), [0.5, 1.5, 4.5, 5.5])


@pytest.mark.parametrize(("row", "column"), [(4, 0), (0, 6), (-1, 0)])
def test_a_patch_outside_the_grid_is_refused(row: int, column: int) -> None:
    with pytest.raises(InputError, match="rows 0 to 3 and columns 0 to 5"):
        patch_attention_figure(IMAGE, ROWS, row, column)


def test_the_sliders_reach_every_patch_and_no_other() -> None:
    row, column, _ = choose_patch(IMAGE, ROWS).children
    assert (row.min, row.max) == (0, 3)
    assert (column.min, column.max) == (0, 5)


def test_the_figure_is_displayed_at_first_and_after_a_move(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Figure] = []
    monkeypatch.setattr(patch_attention, "display", shown.append)
    row, _, _ = choose_patch(IMAGE, ROWS).children
    row.value = 1
    assert [figure.axes[0].get_title() for figure in shown] == ["patch (2, 3)", "patch (1, 3)"]
