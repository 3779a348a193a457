"""Notebook 6: typical answers to its exercises, and what its prose says about numbers."""

from dataclasses import replace
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from dainet.data.prepared import Prepared
from dainet.lessons.answers import EXERCISES
from dainet.segmentation.catalog import build
from dainet.segmentation.evaluation import volume_dsc
from dainet.segmentation.slices import SliceData
from tests.helpers.notebooks import lesson, shown

IMPORTANCE = pd.DataFrame(
    {
        "head": [*["Head 1"] * 3, *["all heads"] * 3],
        "class": ["RV", "Myo", "mean"] * 2,
        "lost": [50.0, 0.0, 60.0, 3.0, 4.0, 9.0],
    }
)


@pytest.mark.parametrize(
    ("number", "answer"),
    [("6.1", 512), ("6.1", 512.0), ("6.2", "Myo"), ("6.2", "myo"), ("6.3", "b"), ("6.3", "B")],
)
def test_right_answers(number: str, answer: object) -> None:
    assert EXERCISES[number].fault(answer, {"importance": IMPORTANCE}) is None


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        *(("6.1", wrong) for wrong in (64, 256, 1024, 500, "512")),
        *(("6.2", wrong) for wrong in ("RV", "mean", "all heads", 1)),
        *(("6.3", wrong) for wrong in ("a", "c", "d")),
    ],
)
def test_wrong_answers(number: str, answer: object) -> None:
    assert EXERCISES[number].fault(answer, {"importance": IMPORTANCE}) is not None


@pytest.mark.parametrize(("number", "known"), [("6.1", [64, 256, 1024]), ("6.3", ["a", "c"])])
def test_known_mistakes_have_words_of_their_own(number: str, known: list[object]) -> None:
    said = [EXERCISES[number].fault(answer, {}) for answer in known]
    assert all(said)
    assert len(set(said)) == len(known)


def test_the_average_map_of_the_training_slices(prepared: Prepared, data: SliceData) -> None:
    torch.manual_seed(0)
    model, volumes = build("single", heads=3, width=4).eval(), prepared.volumes("valid")
    average = data.inputs(torch.from_numpy(prepared.rows("train")))[1].mean(dim=0)  # type: ignore[union-attr]

    class Replaced(torch.nn.Module):
        def forward(self, image: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
            return model(image, average.expand_as(maps))

    whole, kept = (100 * volume_dsc(network, data, volumes).nanmean().item() for network in (model, Replaced()))
    ways = pd.DataFrame({"mean": [whole - kept + 5], "zero": [whole - kept - 7]}, index=["all heads"])
    made: dict[str, Any] = {"full": SimpleNamespace(model=model), "data": data, "volumes": volumes, "ways": ways}
    assert EXERCISES["6.4"].fault(round(whole - kept, 1), made) is None
    assert EXERCISES["6.4"].fault(whole - kept + 1, made) == ""
    assert EXERCISES["6.4"].fault(whole - kept + 5, made)
    assert EXERCISES["6.4"].fault(whole - kept - 7, made)


@pytest.mark.parametrize("answer", [0.0, 0.023])
def test_a_loss_of_nothing_says_what_was_forgotten(answer: float) -> None:
    exercise = replace(EXERCISES["6.4"], truth=lambda: 2.3)
    made = {"ways": pd.DataFrame({"mean": [37.2], "zero": [12.9]}, index=["all heads"])}
    assert "heads_on" in (exercise.fault(answer, made) or "")


def test_six_heads_reach_a_rank_correlation_by_chance() -> None:
    """The prose: 0.6 or more in about one of four orders, and only a value near 0.9 says something."""
    found = np.abs([spearmanr(range(6), order).statistic for order in permutations(range(6))])
    assert (found > 0.599).mean() == pytest.approx(0.25, abs=0.02)
    assert (found > 0.88).mean() < 0.05 < (found > 0.82).mean()


def test_the_tables_stand_under_the_predictions() -> None:
    notebook = lesson("06")
    for source in ("predicted(guess", "predicted(remains"):
        assert "found:" in shown(notebook, source)
        assert "all heads" in shown(notebook, source)


def test_the_controls_without_the_usual_place_are_those_that_notebook_7_calls_so() -> None:
    """There, another patient's maps are what keeps it."""
    prose = {number: "\n".join(cell.source for cell in lesson(number).cells) for number in ("06", "07")}
    [row] = [line for line in prose["07"].splitlines() if line.startswith("| `dual-1111-other-patient`")]
    assert "where a heart usually is matters" in row
    [told] = [line for line in prose["06"].splitlines() if "still tells where a heart usually is" in line]
    controls = told.partition("must train")[2]
    assert "constant maps" in controls
    assert "random weights" in controls
    assert "another patient" not in controls
