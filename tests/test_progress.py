"""Listeners of a long computation."""

import pytest

from dainet.progress import progress, reported_to


def test_there_is_no_listener_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress([1, 2], "counting")) == [1, 2]
    assert capsys.readouterr().err == ""


def test_a_listener_hears_every_step_and_only_inside() -> None:
    heard = []
    with reported_to(lambda *step: heard.append(step)):
        assert list(progress("ab", "letters")) == ["a", "b"]
    list(progress("c", "later"))
    assert heard == [("letters", 0, 2), ("letters", 1, 2)]


def test_a_resumed_computation_counts_what_was_finished_before() -> None:
    heard = []
    with reported_to(lambda *step: heard.append(step[1:])):
        list(progress(range(3, 5), "epochs", before=3))
    assert heard == [(3, 5), (4, 5)]
