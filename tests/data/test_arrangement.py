"""Volumes that lie the wrong way round, by anatomy and by the vote of the other cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dainet.data.arrangement import class_centers, sided_pairs, wrong_way_round

ORGANS = ("liver", "right kidney", "left kidney", "spleen")
# Means of the 20 volumes of CHAOS in mm (slices to the head, rows to the back, columns to the left), rounded.
USUAL = np.array([[78, 0, 0], [0, 41, 1], [6, 45, 131], [69, 48, 158]], float)


def cases(*centers: np.ndarray, view: str = "LPS") -> pd.DataFrame:
    lines = [{"case_id": f"p{i}", "class_centers": each} for i, each in enumerate(centers)]
    return pd.DataFrame(lines).assign(view=view, center_unit="mm")


def patients(number: int) -> list[np.ndarray]:
    """Patients whose organs lie up to 8 mm from where they usually do."""
    random = np.random.default_rng(0)
    return [USUAL + random.uniform(-8, 8, USUAL.shape) for _ in range(number)]


def mirrored(centers: np.ndarray, axis: int) -> np.ndarray:
    return centers * np.where(np.arange(3) == axis, -1, 1)


def test_centers_of_mass_in_mm() -> None:
    label = np.zeros((4, 5, 6), np.uint8)
    label[1:3, 2, 5] = 1
    label[0, 0, 0] = 3
    centers = class_centers(label, 3, (10, 2, 1.5))
    assert centers[0] == pytest.approx([15, 4, 7.5])
    assert np.isnan(centers[1]).all()
    assert centers[2] == pytest.approx([0, 0, 0])


@pytest.mark.parametrize(
    ("axis", "first", "second", "apart"),
    [(0, "liver", "right kidney", 78), (1, "liver", "left kidney", 45), (2, "liver", "spleen", 158)],
)
def test_a_mirrored_volume_contradicts_anatomy(axis: int, first: str, second: str, apart: int) -> None:
    assert wrong_way_round(cases(USUAL), ORGANS) == []
    (line,) = wrong_way_round(cases(USUAL, mirrored(USUAL, axis)), ORGANS)
    assert line.startswith("p1: ")
    assert "mirrored" in line
    assert all(part in line for part in (first, second, f" {apart} mm"))


def test_a_volume_turned_by_half_contradicts_in_two_directions() -> None:
    assert len(wrong_way_round(cases(mirrored(mirrored(USUAL, 1), 2)), ORGANS)) == 2


def test_kidneys_under_each_others_name() -> None:
    (line,) = wrong_way_round(cases(USUAL[[0, 2, 1, 3]]), ORGANS)
    assert "right kidney lies 130 mm to the left of left kidney" in line
    assert "1 of 4 pairs" in line
    assert "exchanged" in line


@pytest.mark.parametrize(("view", "order"), [("LIP", (1, 0, 2)), ("PIR", (2, 0, 1))])
def test_coronal_and_sagittal_slices(view: str, order: tuple[int, int, int]) -> None:
    signs = [{"L": 1, "P": 1, "S": 1, "I": -1, "R": -1}[letter] for letter in reversed(view)]
    shown = USUAL[:, order] * signs  # slices, rows, columns of the other view
    assert wrong_way_round(cases(shown, view=view), ORGANS) == []
    for axis in range(3):
        (line,) = wrong_way_round(cases(mirrored(shown, axis), view=view), ORGANS)
        assert "mirrored" in line


@pytest.mark.parametrize(
    ("right", "left"),
    [
        *[("kidney_right", "kidney_left"), ("Kidney (R)", "Kidney (L)"), ("RightKidney", "LeftKidney"), ("RK", "LK")],
        *[("r-kidney", "l-kidney"), ("lung_upper_lobe_right", "lung_upper_lobe_left"), ("rib_right_1", "rib_left_1")],
        ("Right-Hippocampus", "Left-Hippocampus"),
    ],
)
def test_left_and_right_in_many_spellings(right: str, left: str) -> None:
    assert sided_pairs(("liver", left, right)) == [(right, left)]
    centers = np.array([[0, 0, 0], [0, 0, 60]], float)
    assert wrong_way_round(cases(centers), (right, left)) == []
    (line,) = wrong_way_round(cases(centers), (left, right))
    assert f"{right} lies 60 mm to the left of {left}" in line


@pytest.mark.parametrize(
    "names",
    [
        ("left ventricle", "right ventricle"),
        ("one", "two"),
        ("vertebrae_L5", "vertebrae_L4"),
        ("rib_left_2", "rib_right_1"),
    ],
)
def test_names_that_say_nothing_about_sides(names: tuple[str, str]) -> None:
    assert sided_pairs(names) == []
    assert wrong_way_round(cases(np.array([[0, 0, 0], [0, 0, 60]], float)), names) == []


def test_without_directions_anatomy_is_not_asked() -> None:
    assert wrong_way_round(cases(mirrored(USUAL, 2), view=""), ORGANS) == []


def test_an_absent_organ_contradicts_nothing() -> None:
    centers = mirrored(USUAL, 2)
    centers[[1, 2, 3]] = np.nan
    assert wrong_way_round(cases(centers), ORGANS) == []


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("view", ["", "LPS"])
def test_classes_without_known_names_are_compared_with_the_other_cases(axis: int, view: str) -> None:
    normal, names = patients(6), ("a", "b", "c", "d")
    assert wrong_way_round(cases(*normal, view=view), names) == []
    normal[4] = mirrored(normal[4], axis)
    (line,) = wrong_way_round(cases(*normal, view=view), names)
    assert line.startswith("p4: ")
    assert ("slices", "rows", "columns")[axis] in line


def test_the_vote_needs_five_cases() -> None:
    normal = patients(5)
    normal[0] = mirrored(normal[0], 2)
    assert len(wrong_way_round(cases(*normal), ("a", "b", "c", "d"))) == 1
    assert wrong_way_round(cases(*normal[:4]), ("a", "b", "c", "d")) == []


def test_the_vote_needs_most_of_the_cases() -> None:
    normal = patients(9)
    for i in range(2):
        normal[i] = mirrored(normal[i], 2)
    assert wrong_way_round(cases(*normal), ("a", "b", "c", "d")) == []  # 7 of 9 agree
    assert len(wrong_way_round(cases(*normal, *patients(1)), ("a", "b", "c", "d"))) == 2  # 8 of 10


def test_classes_that_lie_on_either_side_have_no_vote() -> None:
    random = np.random.default_rng(1)
    for _ in range(50):
        scattered = [np.stack([np.zeros(3), random.uniform(-50, 50, 3)]) for _ in range(20)]
        assert wrong_way_round(cases(*scattered), ("kidney", "tumor")) == []


def test_a_case_that_contradicts_anatomy_is_named_once() -> None:
    normal = patients(6)
    normal[2] = mirrored(normal[2], 0)
    (line,) = wrong_way_round(cases(*normal), ORGANS)
    assert "anatomy" in line
