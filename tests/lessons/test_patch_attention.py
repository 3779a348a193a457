"""The figure of where a patch looks, and its sliders."""

from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest
import torch

from dainet.errors import InputError
from dainet.lessons.patch_attention import choose_patch, patch_attention_figure
from dainet.lessons.pictures import html_picture

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


def test_the_figure_is_drawn_at_first_and_after_a_move() -> None:
    row, column, picture = choose_patch(IMAGE, ROWS).children
    seen = [picture.value]
    for slider in (row, column):
        slider.value = 1
        seen.append(picture.value)
    expected = [(2, 3), (1, 3), (1, 1)]
    assert seen == [html_picture(patch_attention_figure(IMAGE, ROWS, *patch)) for patch in expected]
    assert len(set(seen)) == 3


@pytest.mark.slow
def test_a_run_without_a_browser_does_not_wait_for_the_sliders(tmp_path: Path) -> None:
    """Messages of an Output widget crossed with those of papermill in one of some ten cells; both then waited."""
    make = "import numpy as np, torch\nfrom dainet.lessons.patch_attention import choose_patch"
    sources = [make, *["choose_patch(np.eye(8), torch.rand(2, 4, 6, 4, 6))"] * 40]
    nbformat.write(nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources))), tmp_path / "in.ipynb")
    done = papermill.execute_notebook(
        tmp_path / "in.ipynb", tmp_path / "out.ipynb", kernel_name="python3", progress_bar=False, execution_timeout=60
    )
    assert all(cell.outputs for cell in done.cells[1:])
