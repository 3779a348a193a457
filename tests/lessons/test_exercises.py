"""What `check` says about right answers, typical mistakes and other wrong answers."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

from dainet.cache.store import run_stage
from dainet.data.volume import DataError
from dainet.errors import InputError
from dainet.explorer import explorable
from dainet.lessons import exercises
from dainet.lessons.answers import EXERCISES
from dainet.lessons.answers.kinds import Choice, Exercise, Number
from dainet.lessons.exercises import check, predicted, start
from dainet.lessons.regenerate import normalized

SHARE = Number(
    truth=lambda: 0.868, within=0.01, share=True, mistakes={"HALF": lambda: 0.434}, nudge="NUDGE", hint="HINT"
)
NAME = Choice(
    truth=lambda: "Myo", options=lambda: ("RV", "Myo", "LV"), reasons={"LV": "WHY"}, nudge="NUDGE", hint="HINT"
)
MADE = Number(truth=lambda count: count + 1, nudge="NUDGE", hint="HINT")


@pytest.fixture(autouse=True)
def lesson(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the cells of a lesson have made."""
    made: dict[str, Any] = {}
    monkeypatch.setattr(exercises, "_made_by_the_lesson", lambda: made)
    monkeypatch.setattr(exercises, "EXERCISES", {"1": SHARE, "2": NAME, "3": MADE})
    exercises._wrong.clear()
    return made


@pytest.fixture
def log_handlers() -> Iterator[None]:
    """Put the handlers back that `start` replaces."""
    logger = logging.getLogger("dainet")
    before = logger.handlers[:]
    yield
    logger.handlers[:] = before


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("1", None, "not answered"),
        ("1", 0.87, "right"),
        ("1", 86.8, "percent"),
        ("1", -0.868, "sign"),
        ("1", "0.87", "quotes"),
        ("1", [0.87], "number"),
        ("1", (0, 87), "0.5, found (0, 87)"),
        ("1", 0.434, "HALF"),
        ("1", 0.5, "NUDGE"),
        ("2", "Myo", "right"),
        ("2", " myo ", "right"),
        ("2", "(myo)", "right"),
        ("2", "Myo)", "right"),
        ("2", "LV", "WHY"),
        ("2", "RV", "NUDGE"),
        ("2", "liver", "RV, Myo, LV"),
        ("2", 2, "RV, Myo, LV"),
    ],
)
def test_an_answer_is_judged(capsys: pytest.CaptureFixture[str], number: str, answer: object, words: str) -> None:
    check(number, answer)
    said = capsys.readouterr().out
    assert words in said
    assert (said == "right\n") == (words == "right")


@pytest.mark.parametrize("number", ["1", "2"])
@pytest.mark.parametrize("answer", [np.zeros((50, 3)), pd.Series(["RV", "Myo"] * 9)])
def test_an_answer_of_many_lines_is_shown_in_one(
    capsys: pytest.CaptureFixture[str], number: str, answer: object
) -> None:
    check(number, answer)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert len(said) < 200
    assert repr(answer).split()[0] in said


def test_the_hint_follows_the_nudge(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("NUDGE", "HINT", "HINT"):
        check("1", 0.1)
        assert words in capsys.readouterr().out


def test_what_the_lesson_has_made_is_used(capsys: pytest.CaptureFixture[str], lesson: dict[str, Any]) -> None:
    check("3", 5)
    assert "count" in capsys.readouterr().out
    lesson["count"] = 4
    check("3", 5)
    assert capsys.readouterr().out == "right\n"


def test_an_unknown_exercise_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"9.*1, 2, 3"):
        check("9", 1)


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_every_exercise_helps_twice(exercise: Exercise) -> None:
    assert exercise.nudge
    assert exercise.hint
    assert exercise.nudge != exercise.hint


@pytest.mark.parametrize(
    ("guess", "words"),
    [
        *[(None, "not predicted"), (5, "5 points"), (-1.5, "-1.5 points"), (np.float32(2), "2 points")],
        *[("30 %", "predicted 30 %;"), ((0, 3), "(0, 3)")],
    ],
)
def test_a_prediction_stands_beside_what_was_found(
    capsys: pytest.CaptureFixture[str], guess: object, words: str
) -> None:
    predicted(guess, 3.0, " points")
    said = capsys.readouterr().out
    assert words in said
    assert "3 points" in said


@pytest.mark.usefixtures("log_handlers")
def test_a_cell_shows_the_last_epoch_and_no_key(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("dainet.test")
    start("tour", {})
    for line in ("dino: computing 0123456789abcdef", "epoch 1/3 a", "epoch 2/3 b", "scores", "epoch 3/3 c", "end"):
        logger.info(line)
    cell = nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("stream", text=capsys.readouterr().out)])
    shown = normalized(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs[0].text
    assert shown.splitlines() == ["dino: computing", "epoch 2/3 b", "scores", "epoch 3/3 c", "end"]


@pytest.mark.usefixtures("log_handlers")
def test_after_an_interrupt_the_cell_is_run_again_and_not_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    start("tour", {})
    with pytest.raises(KeyboardInterrupt):
        run_stage("dino", 1, {}, {}, interrupt, resumes=True)
    said = capsys.readouterr().out
    assert "dino: interrupted; start it again" in said
    assert "command" not in said


@pytest.mark.parametrize("given", ["unet", "my_network.py:gated", None, {"my_network.py:gated": 1}, 3])
def test_own_networks_are_a_list_and_not_a_text_of_letters(given: Any) -> None:
    with pytest.raises(InputError, match=r"OWN_NETWORKS.*list.*\[") as error:
        start("tour", {}, given)
    assert repr(given) in str(error.value)


@pytest.mark.usefixtures("log_handlers")
def test_own_networks_leave_the_settings_alone() -> None:
    assert start("tour", {}, ["my_network.py:gated"]) == start("tour", {})


@pytest.mark.usefixtures("log_handlers")
@pytest.mark.parametrize(
    ("dataset", "source", "words"),
    [
        *[("acdc", "phantom", ""), ("synapse", "phantom", "phantoms of abdomens")],
        *[
            ("acdc", "scans", "real hearts"),
            ("synapse", "scans", "real abdomens"),
            ("custom", "scans", "your own scans"),
        ],
    ],
)
def test_a_lesson_on_other_data_than_the_tour_says_so(
    capsys: pytest.CaptureFixture[str], dataset: str, source: str, words: str
) -> None:
    start("tour", {"data.dataset": dataset, "data.source": source})
    said = capsys.readouterr().out
    assert bool(said) == bool(words)
    assert words in said


@pytest.mark.usefixtures("log_handlers")
def test_own_scans_without_a_folder_are_refused_in_one_line() -> None:
    with pytest.raises(DataError, match=r"data\.source"):
        start("tour", {"data.dataset": "custom"})
    with pytest.raises(DataError, match=r"data\.source"):
        explorable("tour", {"data.dataset": "custom"})
