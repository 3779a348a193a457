"""Exercises of notebook 2, and the numbers that its text quotes."""

import math
import re
from typing import Any

import numpy as np
import pytest
import torch

from dainet.dino.formulas import cosine_schedule
from dainet.lessons.answers import EXERCISES
from tests.helpers import REPOSITORY
from tests.helpers.notebooks import lesson, shown

NOTEBOOK = lesson("02")
PROSE = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize(
    ("number", "right", "wrong"),
    [
        ("2.1", [18], [20, 9, 16]),
        ("2.2", [66.7, 67, 66, 65], [75, 667, 50, 0.667]),
        ("2.3", [0.2, np.float32(0.2), torch.tensor(0.2)], [0.05, 0.1, "0.2"]),
        ("2.4", ["b", "B"], ["a", "c", "d"]),
    ],
)
def test_typical_answers_are_judged_rightly(number: str, right: list[Any], wrong: list[Any]) -> None:
    exercise = EXERCISES[number]
    assert [exercise.fault(answer, {}) for answer in right] == [None] * len(right)
    assert None not in [exercise.fault(answer, {}) for answer in wrong]


def test_the_momentum_passes_0_999_where_the_exercise_says() -> None:
    values = cosine_schedule(0.996, 1.0, 100, 10)
    first = next(step for step, value in enumerate(values) if value > 0.999)
    assert EXERCISES["2.2"].truth() == pytest.approx(first / 10, abs=0.1)


def test_the_numbers_in_the_text_are_those_of_the_outputs() -> None:
    assert f"ln 32 = {math.log(32):.2f} nats" in PROSE
    table = shown(NOTEBOOK, "read_heads()")
    for number in ("0.634", "0.517", "0.564"):
        assert number in table
        assert number in PROSE


def test_what_users_report_is_what_the_protocol_lists() -> None:
    """None of its reports on fine-tuning is about medical data; those are in the row after it."""
    page = (REPOSITORY / "docs" / "protocol.md").read_text(encoding="utf-8")
    [row] = re.findall(r'^.*<a id="6\.13"></a>.*$', page, flags=re.MULTILINE)
    [told] = [line for line in PROSE.splitlines() if "protocol.md#6.13" in line]
    assert "medical" not in row
    assert "medical" not in told


def test_the_stored_run_shows_both_collapses() -> None:
    found = shown(NOTEBOOK, "from dainet.lessons.collapse import CLASSES").splitlines()
    assert [line.split()[-1] for line in found[:3]] == ["none", "constant", "uniform"]


def test_the_stored_teacher_hardly_moves() -> None:
    """Below a percent of its weights, and it takes over "only a few percent" of the student's steps."""
    found = shown(NOTEBOOK, "parameters_to_vector")
    moved, taken = re.search(r"found: (\S+) %", found), re.search(r"and (\d+)% of the student", found)
    assert 0 < float(moved[1]) < 1
    assert int(taken[1]) < 10
