"""README.md: its length, its Python, and its findings compared with the committed scores."""

from __future__ import annotations

import re
from functools import cache

import pandas as pd
import pytest
import torch

from study.plan import PATIENTS, load_more_seeds, load_plan
from study.report import read_scores
from study.verdicts import judge
from tests.helpers import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
STUDY = REPOSITORY / "figures" / "acdc-study"
FINDING = re.compile(r"`(\S+) - (\S+)`:\s+([+-][\d.]+)\s\(([+-][\d.]+)\sto\s([+-][\d.]+),\s(three|ten)\sseeds\)")


@cache
def scores(seeds: str) -> pd.DataFrame:
    """The study's three seeds, or these and the seven of later, per case under the strict policy."""
    plans = {"three": [load_plan()], "ten": [load_plan(), load_more_seeds()]}[seeds]
    return pd.concat([read_scores(STUDY, plan) for plan in plans]).query("policy == 'strict'")


@cache
def judged(first: str, second: str, seeds: str) -> pd.Series:
    claim = {"better": first, "worse": second, "class": "mean", "measure": "dsc"}
    return judge(scores(seeds), [claim]).iloc[0]


def validation_dsc(model: str) -> float:
    """Mean over ten seeds of the best epoch's DSC on the validation patients, in percent."""
    names = (STUDY / "histories" / f"{model}_{PATIENTS}patients_seed{seed}.csv" for seed in range(10))
    return sum(100 * pd.read_csv(name)["dsc"].max() for name in names) / 10


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 120
    assert len(README.split()) <= 900


def test_its_python_runs_and_gives_the_shapes_of_its_comments() -> None:
    [code] = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    shapes = re.findall(r"^(\w+) = .*# \[([\d, ]+)\]", code, re.MULTILINE)
    assert len(shapes) >= 3
    for name, shape in shapes:
        value = names[name]
        assert isinstance(value, torch.Tensor)
        assert tuple(value.shape) == tuple(map(int, shape.split(", "))), name


@pytest.mark.parametrize("finding", FINDING.findall(README), ids=" - ".join)
def test_its_findings_are_those_of_the_committed_scores(finding: tuple[str, ...]) -> None:
    first, second, *numbers, seeds = finding
    line = judged(first, second, seeds)
    expected = [f"{line[name]:+.2f}" for name in ("difference", "low_t", "high_t")]
    assert numbers == expected
    used = scores(seeds).query("model in (@first, @second) and train_patients == @PATIENTS")
    assert set(used.groupby("model")["seed"].nunique()) == {{"three": 3, "ten": 10}[seeds]}


def test_each_of_its_three_findings_has_numbers() -> None:
    bullets = re.findall(r"^- \*\*.*?(?=^- |^$)", README, re.MULTILINE | re.DOTALL)
    assert len(bullets) == 3
    assert all(FINDING.search(bullet) for bullet in bullets)
    assert len(FINDING.findall(README)) == README.count(" seeds)"), "a number that no test sees"


def test_what_it_says_of_other_organs_stands_in_the_report() -> None:
    said = re.findall(r"`(\S+) - (\S+)`:\s+(\S+)\s\((\S+) to (\S+), five\sfolds\)", README)
    table = pd.read_csv(REPOSITORY / "figures" / "chaos" / "table_questions.csv", dtype=str).set_index("Comparison")
    assert len(said) == 2
    for first, second, *numbers in said:
        row = table.loc[f"{first} - {second}"]
        assert [row["Difference"], *row["95 %"].split(" to ")] == numbers


def test_what_it_says_in_words_holds_too() -> None:
    whole = judged("dual-1111", "unet", "ten")["difference"]
    assert 0.6 < judged("dual-1111-random", "unet", "ten")["difference"] / whole < 0.75, "about two thirds"
    for second in ("dual-1111-random", "unet-wide"):
        line = judged("dual-1111", second, "ten")
        assert line["low_seeds"] < 0 < line["high_seeds"], "inconclusive"
    assert abs(validation_dsc("dual-1111") - validation_dsc("dual-1111-random")) < 0.1, "validation shows none of it"
