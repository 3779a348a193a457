"""Exercises of notebook 3, and what its text says about its outputs."""

from typing import Any

import pandas as pd
import pytest

from dainet import pipeline
from dainet.lessons.answers import EXERCISES
from dainet.lessons.evidence import read_heads
from tests.helpers.notebooks import lesson, shown

NOTEBOOK = lesson("03")
PROSE = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")
OWN = pd.DataFrame({"head": [0, 1, 0], "class": ["any", "any", "LV"], "auroc": [0.7, 0.94, 0.99]})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tiny: Any) -> dict[str, Any]:
    """What the lesson has made, with scores that are lower by 0.06 for maps of another patient."""

    def score_heads(settings: Any, kind: str) -> pd.DataFrame:
        lower = 0.06 * (settings.attention.control == "other-patient")
        return OWN.assign(auroc=OWN["auroc"] - lower)

    monkeypatch.setattr(pipeline, "score_heads", score_heads)
    return {"settings": tiny}


@pytest.mark.parametrize(
    ("number", "right", "wrong"),
    [
        ("3.1", [3072, 6 * 256 * 2], [1536, 6144, "3072"]),
        ("3.2", [0.5], [0, 1, "0.5"]),
        ("3.3", [0.88, 0.884], [0.94, 0.93, 88, 0.64]),
        ("3.4", ["b", "B"], ["a", "c", "d"]),
    ],
)
def test_typical_answers_are_judged_rightly(
    made: dict[str, Any], number: str, right: list[Any], wrong: list[Any]
) -> None:
    exercise = EXERCISES[number]
    assert [exercise.fault(answer, made) for answer in right] == [None] * len(right)
    assert None not in [exercise.fault(answer, made) for answer in wrong]


def test_the_patients_own_maps_are_named_as_the_mistake(made: dict[str, Any]) -> None:
    assert "own maps" in EXERCISES["3.3"].fault(0.94, made)


def stored_table() -> pd.DataFrame:
    """The table of section 3.4 as it is stored, by weights and class."""
    lines = [line.split() for line in shown(NOTEBOOK, "best_heads").splitlines() if line[:1].isdigit()]
    rows = [[" ".join(line[1:-6]), line[-6], *map(float, line[-4:])] for line in lines]
    columns = ["weights", "class", "auroc", "mean", "iou", "slices"]
    return pd.DataFrame(rows, columns=columns).set_index(["weights", "class"])


def test_the_stored_scores_say_what_the_text_says_of_phantoms() -> None:
    table = stored_table()
    center, heads = table.loc["center of the slice"], table.loc["fine-tuned"]
    best = table["auroc"].drop("center of the slice", level="weights").groupby("class").max()
    for name in ("Myo", "LV", "any"):
        assert center.loc[name, "auroc"] > best[name]
    assert (heads["iou"] > center["iou"]).all()
    assert (heads["auroc"] > table.loc["random weights", "auroc"]).all()
    assert (heads["auroc"] - table.loc["pre-trained", "auroc"]).abs().max() < 0.01


def test_the_center_beats_every_head_on_real_slices_and_brightness_does_not() -> None:
    real = read_heads()
    best = real.groupby(["weights", "class"])["auroc"].max().unstack()
    heads = best.loc[["random weights", "pre-trained", "fine-tuned"]].max()
    assert (best.loc["center of the slice"] > heads).all()
    assert (best.loc["brightness of the slice"] < heads).all()
    table = shown(NOTEBOOK, "read_heads()")
    for weights, number in (("center of the slice", "0.969"), ("pre-trained", "0.904")):
        assert f"{best.loc[weights, 'any']:.3f}" == number
        assert number in PROSE
        assert number in table
