"""Votes and objectives: complete, and their facts equal to the committed scores and the protocol."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from markupsafe import escape

from dainet.compare.power import spread_of_plan
from dainet.compare.questions import answers
from dainet.errors import InputError
from dainet.lessons.answers import EXERCISES
from dainet.lessons.gain import read_gain
from dainet.lessons.gain.students import students
from dainet.protocol import load_split, published_table
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count
from teaching.build import NOTEBOOKS
from teaching.pages import render
from teaching.votes import VOTES, Vote, read_objectives, read_votes
from tests.helpers import REPOSITORY

STUDY = REPOSITORY / "figures" / "acdc-study"
SPLITS = ("mtunet", "sequential")  # of the paper, and of the patients' order
LESSONS = {path.name[:2] for path in NOTEBOOKS}


def words_of(vote: Vote) -> str:
    return " ".join([vote.question, *(choice.text + " " + choice.reason for choice in vote.choices)])


def vote_titled(title: str) -> str:
    [vote] = [vote for vote in read_votes() if vote.title == title]
    return words_of(vote)


def row_of(table: str, comparison: str) -> pd.Series:
    rows = pd.read_csv(STUDY / f"{table}.csv", dtype=str)
    return rows[rows["Comparison"] == f"{comparison} (DSC)"].iloc[0]


def test_there_are_nine_votes_of_four_choices_with_one_right_and_a_reason_each() -> None:
    votes = read_votes()
    assert len(votes) == 9
    for vote in votes:
        assert [choice.right for choice in vote.choices].count(True) == 1
        assert all(len(choice.reason) > 30 for choice in vote.choices)
        assert len({choice.text for choice in vote.choices}) == 4


def test_the_right_choices_cannot_be_guessed_from_their_letter() -> None:
    letters = ["ABCD"[[choice.right for choice in vote.choices].index(True)] for vote in read_votes()]
    assert set(letters) == set("ABCD")
    assert max(map(letters.count, letters)) <= 3


@pytest.mark.parametrize("fault", ["a second right choice", "no right choice", "an empty reason", "three choices"])
def test_an_incomplete_vote_is_refused(tmp_path: Path, fault: str) -> None:
    line = '{ text = "%s", reason = "because", right = %s },'
    lines = [line % (letter, "true" if letter == "b" else "false") for letter in "abcd"]
    changes = {
        "a second right choice": [*lines[:3], line % ("d", "true")],
        "no right choice": [line % (letter, "false") for letter in "abcd"],
        "an empty reason": [lines[0].replace("because", ""), *lines[1:]],
        "three choices": lines[:3],
    }
    file = tmp_path / "votes.toml"
    head = '[[vote]]\ntitle = "T"\nlesson = "01"\nquestion = "Q"\nchoices = [\n'
    file.write_text(head + "\n".join(lines) + "\n]\n")
    assert read_votes(file)[0].choices[1].right
    file.write_text(head + "\n".join(changes[fault]) + "\n]\n")
    with pytest.raises(InputError, match=r"votes\.toml"):
        read_votes(file)


def test_the_sheet_for_the_class_gives_nothing_away_and_the_key_gives_every_reason() -> None:
    votes = read_votes()
    sheet, key = (render("votes.html", votes=votes, key=shown) for shown in (False, True))
    for vote in votes:
        for choice in vote.choices:
            reason = str(escape(choice.reason))
            assert reason not in sheet
            assert reason in key
    assert 'class="right"' not in sheet
    assert key.count('class="right"') == len(votes)


def test_votes_and_objectives_name_lessons_exercises_and_votes_that_exist() -> None:
    known = {f"exercise {number}" for number in EXERCISES} | {f"vote {i + 1}" for i in range(len(read_votes()))}
    assert {vote.lesson for vote in read_votes()} <= LESSONS
    assert {objective.lesson for objective in read_objectives()} == LESSONS
    for objective in read_objectives():
        assert objective.shown_by
        assert set(objective.shown_by) <= known
        assert {name.split()[1].split(".")[0] for name in objective.shown_by if "exercise" in name} <= {
            objective.lesson.lstrip("0")
        }


def test_the_numbers_of_the_votes_are_those_of_the_paper_the_protocol_and_the_committed_scores() -> None:
    table = published_table("acdc", "table2").set_index("model")["dsc"]
    claim = vote_titled("The claim")
    assert f"DAINet {table['dual-1111']:.2f}, U-Net {table['unet']:.2f}" in claim
    large = row_of("table_paper", "dual-1111 - single")
    low, high = large["95 % (patients and seeds)"].replace("+", "").split(" to ")
    assert f"{float(large['Difference']):.1f} points ({low} to {high})" in claim
    assert "80.5 and 81.5" in claim
    assert "81.5 and 80.5 from the same command" in (REPOSITORY / "docs/protocol.md").read_text(encoding="utf-8")

    ours, other = ({name for name, part in load_split("acdc", split).items() if part == "test"} for split in SPLITS)
    assert f"share {len(ours & other)} of their {len(ours)} test patients" in vote_titled("Two tables, one name")

    best = pd.read_csv(STUDY / "table_heads.csv").set_index(["Weights", "Class"])["AUROC, best head"]
    blind = pd.read_csv(STUDY / "head_controls.csv").set_index(["weights", "class"])["auroc"]
    head = vote_titled("A head that finds the heart")
    assert f"an AUROC of {best['pre-trained', 'LV']} for the left ventricle" in head
    assert f"merely bright in the middle has {blind['center of the slice', 'LV']:.3f}" in head

    ratio = parameter_count(build("dual-1111")) / parameter_count(build("unet"))
    random = row_of("table_ten_seeds", "dual-1111-random - unet")["Difference"]
    full = row_of("table_ten_seeds", "dual-1111 - unet")["Difference"]
    size = vote_titled("Attention or size?")
    assert f"{ratio:.1f} times the parameters" in size
    assert f"{random[1:]} of the {full[1:]} points" in size

    skips = row_of("table_paper", "dual-1111 - dual-0000")
    interval = skips["95 % (patients and seeds)"]
    zero = vote_titled("An interval with zero in it")
    assert f"{skips['Difference']} points of DSC, with a 95 % interval from {interval}" in zero
    assert f"the paper's {skips['Paper']}" in zero
    assert f"{skips['Difference'][1:]} ({interval.replace('+', '')}, {skips['Verdict']})" in vote_titled("Switched off")


def test_the_numbers_of_the_placebo_are_those_of_lesson_9() -> None:
    scored, vote = read_gain(), vote_titled("A placebo that works")
    told = students(scored.scores, "order")["says"]
    numbers = {15: "Fifteen", 3: "Three"}
    assert f"{numbers[len(told)]} students" in vote
    assert f"{numbers[(told != 'inconclusive').sum()]} of the fifteen report a difference" in vote
    [placebo] = [answer for answer in answers(scored) if answer.comparison.first == "order"]
    low, high = placebo.result.interval()
    assert f"{low:+.2f} to {high:+.2f}, {placebo.verdict.partition(';')[0]}" in vote
    assert round(spread_of_plan(scored).trainings) == 3  # points, "about three"


def test_the_file_of_votes_is_the_only_place_of_their_text() -> None:
    code = [*VOTES.parent.glob("*.py"), *VOTES.parent.glob("templates/*"), VOTES.parent / "README.md"]
    for vote in read_votes():
        assert not [path for path in code if vote.question in path.read_text(encoding="utf-8")]
