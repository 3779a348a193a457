"""The handout: the paper's rows and equations, and a forest plot that is empty but for the paper."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dainet.protocol import published_table
from teaching.handout import EQUATIONS, empty_forest_plot, handout_page

PRINTED = pd.concat([published_table("acdc", name) for name in ("table2", "table3")]).drop_duplicates("model")


def test_the_plot_shows_the_paper_and_no_result() -> None:
    dsc = PRINTED.set_index("model")["dsc"]
    pairs = [("dual-1111", "single"), ("dual-1111", "dual-0000"), ("dual-1111", "unet"), ("unet", "single")]
    of_paper, of_controls = empty_forest_plot().axes
    shown = [np.asarray(line.get_xdata()).item() for line in of_paper.get_lines() if line.get_marker() == "D"]
    expected = [round(dsc[first] - dsc[second], 2) for first, second in pairs]
    assert set(expected) <= set(shown)
    assert len(shown) == 5  # and the LV of dual-0111
    for panel in (of_paper, of_controls):
        assert not [line for line in panel.get_lines() if line.get_marker() == "o"]


def test_the_handout_has_every_row_of_tables_2_and_3_as_printed_and_six_equations() -> None:
    page = handout_page()
    for name in ("table2", "table3"):
        for row in published_table("acdc", name).itertuples():
            numbers = "".join(f"\n      <td>{value:.2f}</td>" for value in (row.rv, row.myo, row.lv, row.dsc))
            assert numbers in page
    assert len(EQUATIONS) == 6
    assert page.count('class="formula"') == 6
