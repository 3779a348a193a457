"""The handout: the paper's rows and equations, and a forest plot that is empty but for the paper."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from dainet.protocol import published_table
from teaching.handout import COMPARISONS, EQUATIONS, empty_forest_plot, handout_page, paper_difference
from tests.helpers import REPOSITORY

CLAIMS = yaml.safe_load((REPOSITORY / "study" / "claims.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("first", "second"), [row[:2] for row in COMPARISONS], ids=" - ".join)
def test_rows_and_differences_are_those_of_the_registered_claims(first: str, second: str) -> None:
    registered = {
        (claim["better"], claim["worse"]): claim.get("paper")
        for claim in CLAIMS["paper"] + CLAIMS["controls"]
        if claim["class"] == "mean" and "measure" not in claim
    }
    assert paper_difference(first, second) == registered[first, second]


def test_the_plot_shows_the_paper_and_no_result() -> None:
    panel = empty_forest_plot().axes[0]
    diamonds = [np.asarray(line.get_xdata()).item() for line in panel.get_lines() if line.get_marker() == "D"]
    expected = [paper_difference(first, second) for first, second, _ in COMPARISONS]
    assert diamonds == [value for value in expected if value is not None]
    assert not panel.containers


def test_the_handout_has_every_row_of_tables_2_and_3_as_printed_and_six_equations() -> None:
    page = handout_page()
    for name in ("table2", "table3"):
        for row in published_table("acdc", name).itertuples():
            numbers = "".join(f"\n      <td>{value:.2f}</td>" for value in (row.rv, row.myo, row.lv, row.dsc))
            assert numbers in page
    assert len(EQUATIONS) == 6
    assert page.count('class="formula"') == 6
