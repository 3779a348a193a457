"""One scan under two names: what a split may hold, and what only the user can decide."""

import pandas as pd
import pytest

from dainet.data.duplicates import find_twins


def volumes(*lines: tuple[str, str, str]) -> pd.DataFrame:
    """Build one row per volume from tuples (patient, split, hash)."""
    table = pd.DataFrame(lines, columns=["patient", "split", "sha256"])
    return table.assign(case_id=table["patient"] + "_ED")


@pytest.mark.parametrize(
    "lines",
    [
        [("p1", "train", "a"), ("p2", "test", "b"), ("p3", "valid", "c")],
        [("p1", "train", "a"), ("p2", "train", "a"), ("p3", "test", "b")],
        [("p1", "none", "a"), ("p2", "test", "a")],
        [("patient074", "train", "a"), ("patient076", "train", "a")],
    ],
)
def test_equal_images_within_one_part_of_the_split_do_no_harm(lines: list[tuple[str, str, str]]) -> None:
    assert find_twins(volumes(*lines)) == ([], {})


@pytest.mark.parametrize(
    "lines",
    [
        [("p1", "train", "a"), ("p2", "test", "a"), ("p3", "train", "b")],
        [("patient074", "valid", "a"), ("patient076", "test", "a")],
        [("patient074", "train", "a"), ("patient076", "test", "a"), ("p1", "valid", "a")],
        [("patient074", "train", "a"), ("p1", "test", "a")],
    ],
)
def test_an_image_in_two_parts_is_a_problem_that_names_all_its_cases(lines: list[tuple[str, str, str]]) -> None:
    problems, left_out = find_twins(volumes(*lines))
    (problem,) = problems
    for patient, split, content in lines:
        assert (f"{patient}_ED ({split})" in problem) == (content == "a")
    assert left_out == {}


@pytest.mark.parametrize(("trains", "other", "split"), [("074", "076", "valid"), ("076", "074", "test")])
def test_of_acdcs_known_twins_the_one_that_trains_is_left_out(trains: str, other: str, split: str) -> None:
    table = volumes((f"patient{trains}", "train", "a"), (f"patient{other}", split, "a"), ("p1", "train", "b"))
    problems, left_out = find_twins(table)
    assert problems == []
    assert list(left_out) == [f"patient{trains}"]
    assert f"patient{other} ({split})" in left_out[f"patient{trains}"]


def test_problems_come_in_the_order_of_the_cases() -> None:
    lines = [("p1", "train", "b"), ("p2", "train", "a"), ("p3", "test", "b"), ("p4", "test", "a")]
    problems, _ = find_twins(volumes(*lines))
    assert ["p1_ED (train) and p3_ED (test)" in problems[0], "p2_ED (train) and p4_ED (test)" in problems[1]] == [
        True
    ] * 2
