"""The tables and figures of lesson 7 on simulated scores."""

import numpy as np
import pandas as pd
import pytest

from dainet.errors import InputError
from dainet.lessons.evidence.charts import gap_figure, patient_training_figure, student_figure, training_figure
from dainet.lessons.evidence.controls import control_table
from dainet.lessons.evidence.trainings import components, fewer_trainings, one_seed_students, said

TRUTH = {"patients": 5.0, "trainings": 1.0, "luck of a training in a patient": 2.0}


def simulated(random: np.random.Generator, seeds: int, patients: int) -> np.ndarray:
    spread = list(TRUTH.values())
    effects = random.normal(0, spread[0], patients) + random.normal(0, spread[1], (seeds, 1))
    return 80 + effects + random.normal(0, spread[2], (seeds, patients))


def test_the_components_of_a_simulation_are_found() -> None:
    found = components(simulated(np.random.default_rng(0), 400, 400))
    assert found == pytest.approx(TRUTH, rel=0.1)


def test_a_component_is_never_below_zero() -> None:
    same = np.tile(np.random.default_rng(0).normal(80, 5, 20), (10, 1))
    assert components(same)["trainings"] == 0


def test_more_trainings_give_narrower_intervals_and_say_yes_more_often() -> None:
    random = np.random.default_rng(0)
    patients = random.normal(80, 5, 20)
    first, second = (patients + shift + random.normal(0, 1.5, (10, 20)) for shift in (0.8, 0))
    table = fewer_trainings(first, second, (2, 5))
    assert table["half_width"].is_monotonic_decreasing
    assert table["yes"].is_monotonic_increasing


def test_all_trainings_are_a_single_draw() -> None:
    random = np.random.default_rng(0)
    first, second = (80 + random.normal(0, 1.5, (4, 20)) for _ in range(2))
    assert fewer_trainings(first, second, (4,))["yes"].iloc[0] in (0.0, 1.0)


def cases(model: str, dsc: np.ndarray) -> pd.DataFrame:
    """Scores [seeds, patients] in points as lines per case, of one class."""
    lines = [
        {"model": model, "seed": seed, "patient": f"patient{patient:03d}", "class": "LV", "dsc": value / 100}
        for (seed, patient), value in np.ndenumerate(dsc)
    ]
    return pd.DataFrame(lines)


def test_every_student_compares_only_the_own_seed() -> None:
    base = np.random.default_rng(0).normal(80, 5, 20)
    shifts = np.array([[1.0], [-1.0], [0.0]]) + np.tile([0.1, -0.1], 10)
    students = one_seed_students(pd.concat([cases("a", base + shifts), cases("b", np.tile(base, (5, 1)))]), "a", "b")
    assert students["student"].tolist() == ["seed 0", "seed 1", "seed 2"]
    assert students["difference"].tolist() == pytest.approx([1, -1, 0], abs=1e-9)
    assert students["says"].tolist() == ["yes", "no", "inconclusive"]


@pytest.mark.parametrize(
    ("low", "high", "word"), [(0.1, 1, "yes"), (-1, -0.1, "no"), (-1, 1, "inconclusive"), (0, 1, "inconclusive")]
)
def test_what_an_interval_says(low: float, high: float, word: str) -> None:
    assert said(low, high) == word


def test_a_gap_that_two_patients_make_is_gone_without_them() -> None:
    gap = np.array([9.0, 11.0] + [0.0] * 18)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 3, 20))
    [line] = control_table(pd.concat([cases("a", 80 + gap + noise[0]), cases("b", 80 + noise[1])]), "a", ["b"]).to_dict(
        "records"
    )
    assert float(line["mean"]) == pytest.approx(1, abs=0.1)
    assert float(line["median"]) == pytest.approx(0, abs=0.1)
    assert float(line["without two patients"]) == pytest.approx(0, abs=0.1)


def test_students_are_drawn_from_top_to_bottom_at_what_they_found() -> None:
    lines = [("seed 0", 1.0, 0.5, 1.5, "yes"), ("seed 1", 0.0, -1.0, 1.0, "inconclusive")]
    [panel] = student_figure(pd.DataFrame(lines, columns=["student", "difference", "low", "high", "says"])).axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["seed 1", "seed 0"]
    drawn = [np.asarray(line.get_xdata()).tolist() for line in panel.lines[:4]]
    assert drawn == [[-1.0, 1.0], [0.0], [0.5, 1.5], [1.0]]


def test_patients_are_ordered_by_the_second_network_and_one_is_bold() -> None:
    second = pd.DataFrame([[90.0, 70.0, 80.0]] * 2, columns=["patient001", "patient002", "patient003"])
    panels = patient_training_figure(second + 1, second, ("a", "b"), "patient003").axes[:3]
    assert [panel.get_title(loc="left") for panel in panels] == ["b", "a", "a - b"]
    labels = panels[2].get_xticklabels()
    assert [label.get_text() for label in labels] == ["002", "003", "001"]
    assert [label.get_fontweight() for label in labels] == ["normal", "bold", "normal"]
    assert np.asarray(panels[2].collections[0].get_array()) == pytest.approx(np.ones((2, 3)))


def test_a_patient_who_does_not_exist_is_named_with_those_who_do() -> None:
    scores = pd.DataFrame([[90.0, 70.0]], columns=["patient001", "patient002"])
    with pytest.raises(InputError, match=r"patient2.*patient001, patient002"):
        patient_training_figure(scores, scores, ("a", "b"), "patient2")
    with pytest.raises(InputError, match=r"patient2.*patient001, patient002"):
        gap_figure(scores.T, "patient2")


def test_gaps_show_mean_and_median_and_the_patient() -> None:
    gaps = pd.DataFrame({"a - b": [0.0, 1.0, 5.0]}, index=["patient001", "patient002", "patient003"])
    [panel] = gap_figure(gaps, "patient003").axes
    marked = {str(line.get_marker()): np.asarray(line.get_xdata()).tolist() for line in panel.lines[2:4]}
    assert marked == {"|": [2.0], "d": [1.0]}
    assert np.asarray(panel.lines[1].get_xdata()).tolist() == [5.0]


def test_the_number_of_trainings_is_drawn_against_shares_and_widths() -> None:
    table = pd.DataFrame({"trainings": [2, 3], "yes": [0.25, 0.5], "half_width": [2.0, 1.0]})
    shares, widths = training_figure({"a - b": table}, size=0.33).axes
    assert np.asarray(shares.lines[0].get_ydata()).tolist() == [25, 50]
    assert np.asarray(widths.lines[0].get_ydata()).tolist() == [2, 1]
    assert np.asarray(widths.lines[1].get_ydata()).tolist() == [0.33, 0.33]
