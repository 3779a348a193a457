"""Verdicts in sentences: every word, with the numbers of the difference."""

from __future__ import annotations

import pytest

from dainet.compare.analysis import Difference, verdict
from dainet.compare.comparisons import interval_text
from dainet.compare.plan import Comparison
from dainet.compare.questions import Answer
from dainet.compare.sentences import headline, verdict_sentence

MARGIN = 0.3


def answer(estimate: float, error: float = 0.1, role: str = "primary", word: str = "") -> Answer:
    result = Difference(estimate, error, 20)
    line = Comparison.model_validate({"question": "?", "role": role, "first": "new", "second": "old"})
    return Answer(line, result, word or verdict(result, MARGIN))


@pytest.mark.parametrize(
    ("found", "word", "lead"),
    [
        (answer(0.5), "supported", "Supported"),
        (answer(-0.5), "contradicted", "Contradicted"),
        (answer(0.01), "equivalent", "Equivalent"),
        (answer(0.2, 0.4), "inconclusive", "Inconclusive"),
        (answer(0.2, 0.05), "supported, equivalent", "Real but negligible"),
        (answer(-0.2, 0.05), "contradicted, equivalent", "Real but negligible"),
        (answer(0.5, word="not judged"), "not judged", "Not judged"),
    ],
)
def test_every_word_has_its_lead_and_a_sentence_with_the_numbers(found: Answer, word: str, lead: str) -> None:
    assert found.verdict == word
    assert headline([found], MARGIN) == (lead, verdict_sentence(found, MARGIN))
    sentence = verdict_sentence(found, MARGIN)
    assert f"{abs(found.result.estimate):.2f} points" in sentence
    assert interval_text(*found.result.interval(0.90 if word == "equivalent" else 0.95)) in sentence
    assert ("new is better than old" in sentence) == (word.startswith("supported"))
    assert ("new is worse than old" in sentence) == (word.startswith("contradicted"))
    assert ("0.3 points" in sentence) == ("equivalent" in word or word == "inconclusive")


def test_what_few_patients_carry_is_said_in_the_verdict() -> None:
    carried = answer(0.5, word="supported; carried by few patients (without the 3 that move it: inconclusive)")
    assert "arried by few patients (without the 3 that move it: inconclusive)" in headline([carried], MARGIN)[1]


def test_several_primary_comparisons_are_one_claim() -> None:
    assert headline([answer(0.5), answer(0.6)], MARGIN)[0] == "Supported"
    assert headline([answer(0.5), answer(-0.6)], MARGIN)[0] == "Contradicted"
    assert headline([answer(0.5), answer(0.0)], MARGIN)[0] == "Inconclusive"
    assert headline([answer(0.5), answer(0.6, word="not judged")], MARGIN)[0] == "Not judged"
    assert headline([answer(0.5, role="exploratory", word="not judged")], MARGIN)[0] == "Not judged"


def test_equal_scores_have_no_numbers_to_print() -> None:
    same = answer(0.0, float("nan"), word="not judged")
    assert "nan" not in verdict_sentence(same, MARGIN)
