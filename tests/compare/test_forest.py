"""The forest plot, filled and to fill in."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from dainet.compare.forest import forest_plot
from dainet.errors import InputError

CLAIM = {"claim": "b above a", "better": "b", "worse": "a", "class": "mean", "measure": "dsc", "paper": 1.5}
FOUND = {"difference": 2.0, "low": 1.0, "high": 3.0, "low_seeds": 0.5, "high_seeds": 4.0, "verdict": "supported"}


def points(panel: Axes, marker: str) -> list[float]:
    """Positions of the points with this marker."""
    return [float(x) for line in panel.lines if line.get_marker() == marker for x in np.asarray(line.get_xdata())]


def test_an_empty_plot_has_the_papers_differences_and_the_readers_guesses() -> None:
    claims = pd.DataFrame([CLAIM, CLAIM | {"claim": "c above a", "better": "c", "paper": None}])
    [panel] = forest_plot({"claims": claims}, guesses={"b above a": -1.0, "c above a": None}).axes
    assert points(panel, "D") == [1.5]
    assert points(panel, "x") == [-1.0]
    assert points(panel, "o") == []
    assert [label.get_text().splitlines()[-1] for label in panel.get_yticklabels()] == ["(c - a)", "(b - a)"]


@pytest.mark.parametrize(("guess", "room"), [(None, (-4, 8)), (5.0, (-4, 8)), (20.0, (-4, 21)), (-12.5, (-13.5, 8))])
def test_a_guess_far_away_is_in_the_picture(guess: float | None, room: tuple[float, float]) -> None:
    [panel] = forest_plot({"claims": pd.DataFrame([CLAIM])}, guesses={"b above a": guess}).axes
    assert panel.get_xlim() == room


@pytest.mark.parametrize(
    ("guesses", "words"),
    [
        ({"b above b": 1}, "did you mean b above a"),
        ({"b above a": "1.5"}, "b above a.*'1.5'.*0.5"),
        ({"b above a": (1, 5)}, r"b above a.*\(1, 5\).*0.5"),
    ],
)
def test_a_guess_that_cannot_be_drawn_is_refused(guesses: dict[str, float | None], words: str) -> None:
    with pytest.raises(InputError, match=words):
        forest_plot({"claims": pd.DataFrame([CLAIM])}, guesses=guesses)


def test_a_filled_plot_has_difference_and_both_intervals_and_marks_bad_trainings() -> None:
    figure = forest_plot({"claims": pd.DataFrame([CLAIM | FOUND])}, badly_trained=["a"])
    [panel] = figure.axes
    assert points(panel, "o") == [2.0]
    drawn = [np.asarray(line.get_xdata()).tolist() for line in panel.lines]
    assert [0.5, 4.0] in drawn
    assert [1.0, 3.0] in drawn
    assert panel.get_yticklabels()[0].get_text().startswith("b above a†")
    assert "supported" in str(figure.get_label())


def test_distances_and_what_has_not_run_are_left_out() -> None:
    lines = [CLAIM | FOUND, CLAIM | FOUND | {"measure": "hd95_vox"}, CLAIM | FOUND | {"verdict": "not run"}]
    [panel] = forest_plot({"claims": pd.DataFrame(lines)}).axes
    assert len(panel.get_yticks()) == 1
