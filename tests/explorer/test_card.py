"""The card: a prediction before every result, and what each try shows."""

import numpy as np
import pytest

from dainet.explorer import Explorer
from dainet.explorer.card import TRIES, Card, Try
from dainet.explorer.predictor import Choice, everything_on

ON = everything_on(6, "finetuned")


def test_nothing_is_shown_before_a_prediction() -> None:
    asked: list[Try] = []
    card = Card(asked.append)
    for text in ("", "much", "nan", "inf"):
        card.guess.value = text
        card.show.click()
        assert asked == []
        assert "number" in card.result.value
    for text in ("-5", "0", "2,5", "\N{MINUS SIGN}5"):
        card.guess.value = text
        card.show.click()
    assert asked == [TRIES[0]] * 4


def test_results_stay_with_their_questions() -> None:
    card = Card(lambda _: None)
    card.guess.value = "-5"
    card.show.click()
    card.report(-0.1234)
    assert "-5" in card.result.value
    assert "-12.3 points" in card.result.value
    card.forward.click()
    assert card.current is TRIES[1]
    assert card.result.value == ""
    assert card.guess.value == ""
    card.back.click()
    assert "-12.3 points" in card.result.value
    card.back.click()
    assert card.current is TRIES[-1]


@pytest.mark.parametrize("text", ["", "7"])
def test_a_late_result_goes_to_its_question_with_the_number_that_was_predicted(text: str) -> None:
    card = Card(lambda _: None)
    card.guess.value = "-5"
    card.show.click()
    card.forward.click()
    card.guess.value = text
    card.report(-0.03)
    assert card.result.value == ""
    card.back.click()
    assert "-5" in card.result.value
    assert "-3.0 points" in card.result.value


@pytest.mark.parametrize("task", TRIES)
def test_a_try_changes_something_and_keeps_the_number_of_heads(task: Try) -> None:
    changed = task.change(ON)
    assert changed != ON
    assert len(changed.heads_on) == 6


def test_the_result_is_the_difference_to_everything_on(explorer: Explorer) -> None:
    everything = np.mean(explorer.scores["this volume"])  # type: ignore[arg-type]
    explorer.controls.model.label = "U-Net"  # wherever one comes from
    explorer.view.pin.click()
    for _ in range(3):
        explorer.card.forward.click()
    explorer.card.guess.value = "-5"
    explorer.card.show.click()
    assert explorer.controls.choice == Choice("dual", True, (True,) * 4, (False, *[True] * 5), "finetuned")
    found = 100 * (np.mean(explorer.scores["this volume"]) - everything)  # type: ignore[arg-type]
    assert f"{found:+.1f} points" in explorer.card.result.value


def test_a_try_without_its_network_offers_it_and_reports_nothing(explorer: Explorer) -> None:
    explorer.card.forward.click()
    explorer.card.forward.click()
    explorer.card.guess.value = "-5"
    explorer.card.show.click()
    assert "dual-0000" in explorer.view.message.value
    assert explorer.view.train.layout.display == ""
    assert explorer.card.result.value == ""
    explorer.controls.model.label = "U-Net"  # another setting is no answer to the question
    assert explorer.card.result.value == ""
