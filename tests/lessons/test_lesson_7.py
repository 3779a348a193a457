"""Notebook 7: its cells run without a repository, its answers are judged, and its prose says what the scores say."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dainet.csv_files import read_csv
from dainet.lessons.answers import EXERCISES
from dainet.lessons.evidence import read_scores
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count
from tests.helpers import REPOSITORY
from tests.helpers.notebooks import check_solutions, lesson, shown

NOTEBOOK = lesson("07")
PROSE = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")
STUDY = REPOSITORY / "figures" / "acdc-study"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the cells of the lesson make in a folder far from the repository, as where only the package is installed."""
    home = Path.cwd()
    names: dict[str, Any] = {}
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    try:
        for cell in NOTEBOOK.cells:
            if cell.cell_type == "code" and "check(" not in cell.source:
                exec(cell.source.replace("%matplotlib inline", ""), names)
        yield names
    finally:
        os.chdir(home)


def judged(number: str, answer: object, made: dict[str, Any]) -> str | None:
    return EXERCISES[number].fault(answer, made)


@pytest.mark.parametrize(
    ("number", "answer"),
    [("7.1", 4), ("7.2", "inconclusive"), ("7.2", "Inconclusive "), ("7.3", "c"), ("7.3", "C"), ("7.4", 10 / 45)],
)
def test_right_answers(number: str, answer: object, made: dict[str, Any]) -> None:
    assert judged(number, answer, made) is None


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("7.1", 6, "U-Net is ahead"),
        ("7.1", 18, "counts patients"),
        ("7.1", "4", "quotes"),
        ("7.2", "equivalent", "90 %"),
        ("7.2", "supported", "lower end"),
        ("7.2", "contradicted", "above"),
        ("7.2", "cannot tell", "expected one of"),
        ("7.3", "a", "validation"),
        ("7.3", "b", "absent"),
        ("7.3", "d", "cause"),
        ("7.3", "e", "expected one of"),
        ("7.4", 0.05, "count"),
        ("7.4", 20 / 100, "45 pairs"),
        ("7.4", 11 / 45, "Wilcoxon"),
        ("7.4", 22.2, "percent"),
    ],
)
def test_typical_mistakes_are_named(number: str, answer: object, words: str, made: dict[str, Any]) -> None:
    assert words in (judged(number, answer, made) or "")


@pytest.mark.parametrize(("number", "answer"), [("7.1", 5), ("7.1", 0), ("7.4", 0.5), ("7.4", 0.9)])
def test_other_wrong_answers_are_wrong(number: str, answer: object, made: dict[str, Any]) -> None:
    assert judged(number, answer, made) == ""


def test_the_solutions_are_right(made: dict[str, Any]) -> None:
    check_solutions(NOTEBOOK, made)


@pytest.mark.parametrize(
    ("prose", "cell", "printed"),
    [
        ("Two would write a paper, and the third would not", "guess, (three", ["found: 2 students"]),
        (
            "Seven say yes, three are inconclusive, and none says no",
            "value_counts",
            ["yes             7\ninconclusive    3"],
        ),
        ("from half a point to three and a half", "value_counts", ["0.47 to 3.54"]),
        ("1.74 points, with an interval from 0.80 to 2.68", "value_counts", ["1.74 points (95 % 0.80 to 2.68)"]),
        ("about two points for each network", "components(", ["2.2        2.0"]),
        ("Trainings** differ by a fraction of a point", "components(", ["0.7        0.0"]),
        ("the mean gain is zero", "its gain", ["-0.01 on average"]),
        ("gaining almost two points, or of losing one", "its gain", ["-1.2 to +1.9"]),
        ("1.20 of 1.74 points", "control_table(", ["found: 1.2 points", "+1.74"]),
        ("there in 18 of 20 patients", "control_table(", ["18 of 20"]),
        (
            "+0.54 points over ten seeds, 95 % from +0.03 to +1.04, median +0.28",
            "control_table(",
            ["+0.54  +0.03 to +1.04  +0.28"],
        ),
        ("It ends 1.3 points lower on the test patients", "shown.assign", ["+1.29"]),
    ],
)
def test_numbers_in_the_prose_are_those_that_a_cell_prints(prose: str, cell: str, printed: list[str]) -> None:
    assert prose in PROSE
    text = shown(NOTEBOOK, cell)
    assert [words for words in printed if words not in text] == []


def test_the_verdicts_are_those_of_the_report(made: dict[str, Any]) -> None:
    for title, name in (("The paper's claims", "table_paper"), ("Controls", "table_controls")):
        table, report = made["judged"][title], read_csv(STUDY / f"{name}.csv").query("Difference != ''")
        assert table["claim"].tolist() == report["Claim"].tolist()
        assert table["difference"].map("{:+.2f}".format).tolist() == report["Difference"].tolist()
        assert table["verdict"].tolist() == report["Verdict"].str.removesuffix("†").tolist()
        ends = zip(table["low_seeds"], table["high_seeds"], strict=True)
        assert [f"{low:+.1f} to {high:+.1f}" for low, high in ends] == report["95 % (patients and seeds)"].tolist()


def test_the_controls_are_those_of_the_report(made: dict[str, Any]) -> None:
    report = read_csv(STUDY / "table_ten_seeds.csv").set_index("Comparison")
    table = made["control_table"](made["scores"], "dual-1111", ("unet", *made["controls"]))
    for line in table.to_dict("records"):
        expected = report.loc[f"{line['comparison']} (DSC)"]
        assert line["mean"] == expected["Difference"]
        assert line["95 %"] == expected["95 % (patients and trainings, t)"]
        assert line["median"] == expected["Median"]
        assert line["ahead in"] == expected["As claimed in"]
    assert report.loc["dual-1111-random - unet (DSC)", "Difference"] == f"{made['random_gain']:+.2f}"
    assert "+0.04 on the validation patients" in PROSE
    assert report.loc["dual-1111 - dual-1111-random (DSC)", "Validation"] == "+0.04"


def test_the_gaps_of_the_controls_rest_on_few_patients(made: dict[str, Any]) -> None:
    gaps = made["patient_gaps"](made["scores"], "dual-1111", made["controls"])
    assert (gaps.median() < 0.3).all()
    assert all(gaps[name].nlargest(2).sum() > gaps[name].sum() / 2 for name in gaps)


def test_the_first_look_at_the_papers_scale_is_that_of_the_page_about_gpus() -> None:
    page = (REPOSITORY / "docs" / "gpu.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| (\d\d\.\d\d) \| ", page, flags=re.M))
    names = {"unet": "U-Net", "dual-1111": "dual-1111", "dual-1111-random": "dual-1111, maps of random weights"}
    for name, title in names.items():
        assert f"| `{name}` | {rows[title]} |" in PROSE


def test_sizes_in_the_prose() -> None:
    unet, dual = (parameter_count(build(name, width=16)) for name in ("unet", "dual-1111"))
    assert f"{dual / unet:.1f} times the parameters" in PROSE
    assert f"({parameter_count(build('unet', width=21)) / dual:.2f} times)" in PROSE


def test_three_seeds_seldom_find_the_papers_difference() -> None:
    rates = read_csv(STUDY / "table_calibration.csv").query("Seeds == '3'")["Rule finds +0.33"]
    assert rates.str.removesuffix(" %").astype(int).max() < 10


def test_the_mean_dsc_of_the_small_study() -> None:
    scores = read_scores()
    mean = scores[scores["model"].isin(["unet", "dual-1111"]) & (scores["seed"] < 3)].groupby("model")["dsc"].mean()
    assert "at 83 % DSC" in PROSE
    assert 83 < 100 * mean["unet"] < 84


def test_no_training_of_the_running_study_is_shown() -> None:
    assert "near-paper" not in "\n".join(cell.source for cell in NOTEBOOK.cells)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((\.\./[^)#]+)", PROSE):
        assert (REPOSITORY / "notebooks" / target).exists(), target


def test_a_guess_is_asked_for_every_claim_of_the_paper(made: dict[str, Any]) -> None:
    assert list(made["guesses"]) == made["claims"]["paper"]["claim"].tolist()
    assert isinstance(made["claims"]["paper"], pd.DataFrame)
