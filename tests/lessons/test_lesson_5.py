"""Notebook 5: typical answers to its exercises, and what its prose says about its outputs."""

import re

import numpy as np
import pytest
from nbformat import NotebookNode

from dainet.lessons.answers import EXERCISES
from dainet.protocol import published_table
from tests.helpers.notebooks import check_wrong, lesson, shown


@pytest.mark.parametrize(("number", "answer"), [("5.1", 1), ("5.2", 36864), ("5.3", 79), ("5.4", "c"), ("5.4", "C")])
def test_right_answers(number: str, answer: object) -> None:
    assert EXERCISES[number].fault(answer, {}) is None


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("5.1", 1 / 8, "switch"),
        ("5.1", 1 / 2, ""),
        ("5.2", 512 * 512 * 9, "deep-first"),
        ("5.2", 64 * 64, "3 x 3"),
        ("5.2", 64 * 64 * 9 + 64, ""),
        ("5.3", 78, "below"),
        ("5.3", 71, "one network"),
        ("5.3", 51, ""),
        ("5.4", "a", "Myo"),
        ("5.4", "b", "patients"),
        ("5.4", "d", "narrower"),
    ],
)
def test_wrong_answers_and_what_is_said(number: str, answer: object, words: str) -> None:
    check_wrong(number, answer, words)


@pytest.fixture(scope="module")
def notebook() -> NotebookNode:
    return lesson("05")


def test_the_real_rows_keep_their_sign_but_for_the_skips(notebook: NotebookNode) -> None:
    rows = re.findall(r"^\d +(\S+ - \S+) +(.*)$", shown(notebook, "read_scores().query"), flags=re.MULTILINE)
    means = {pair: [float(cell) for cell in re.findall(r"([+-][\d.]+) \(", cells)] for pair, cells in rows}
    ends = {pair: re.findall(r"\(([+-][\d.]+) to ([+-][\d.]+)\)", cells)[-1] for pair, cells in rows}
    assert len(means) == 4
    for pair, values in means.items():
        low, high = map(float, ends[pair])
        assert len(set(np.sign(values))) == 1
        assert (low < 0 < high) == (pair == "dual-1111 - dual-0000")


def test_the_steps_of_the_papers_table() -> None:
    rows = published_table("acdc", "table3").set_index("model")["dsc"].astype(float)
    dual = rows[["dual-0000", "dual-0001", "dual-0111", "dual-1111"]].to_numpy()
    assert dual.tolist() == [91.60, 91.71, 91.85, 91.90]
    assert (np.diff(dual).min(), np.diff(dual).max()) == (pytest.approx(0.05), pytest.approx(0.14))
    assert "dual-0011" not in rows
    assert rows["single"] == 90.38


def test_the_printed_deviations_give_the_number_of_trainings(notebook: NotebookNode) -> None:
    printed = re.findall(r"^(?:unet|dual-1111) +([\d.]+)$", shown(notebook, "real_means = "), flags=re.MULTILINE)
    first, second = map(float, printed)
    assert 78 < (first**2 + second**2) / 0.1**2 < 79


def test_the_interval_of_all_seeds_is_wider_or_narrower_than_single_ones(notebook: NotebookNode) -> None:
    """Each row of the real table stands in two lines: seeds 0 and 1, then seed 2 and all."""
    widths: dict[str, list[float]] = {}
    for line in re.findall(r"^\d .*$", shown(notebook, "read_scores().query"), flags=re.MULTILINE):
        ends = re.findall(r"\(([+-][\d.]+) to ([+-][\d.]+)\)", line)
        widths.setdefault(line[0], []).extend(float(high) - float(low) for low, high in ends)
    assert {len(row) for row in widths.values()} == {4}
    assert {max(row[:3]) < row[3] for row in widths.values()} == {True, False}
    [step] = [line for cell in notebook.cells for line in cell.source.splitlines() if '*Then "all seeds".*' in line]
    assert {"narrower", "wider"} <= set(re.findall(r"\w+", step))
