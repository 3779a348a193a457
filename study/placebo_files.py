"""The placebo through the whole path: a plan as a file, scores as the queue leaves them, and the report's verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import yaml

from dainet.compare.plan import Plan, read_plan
from dainet.compare.power import smallest_gain
from dainet.compare.questions import answers
from dainet.compare.scores import read_scored
from dainet.compare.simulation import Truth
from study.placebo import PROMISED, Case
from study.rehearsal import simulate_scores

__all__ = ["file_rates", "placebo_plan", "verdicts_of"]

_NAMES = ("first", "second", "third")
_DIFFERENT = ("supported", "contradicted")


def placebo_plan(case: Case, folder: Path, networks: int = 2) -> Plan:
    """Write a plan of one function under two or three names with its folds, and read it again.

    A third name is asked about by a secondary question.
    """
    names, count = _NAMES[:networks], iter(range(sum(case.design.folds)))
    tests = [[f"patient{next(count):03d}" for _ in range(size)] for size in case.design.folds]
    for number, test in enumerate(tests, start=1):
        split = {each: "test" if each in test else "train" for part in tests for each in part}
        split |= {f"other{i}": word for i, word in enumerate(("train", "valid"))}
        table = pd.DataFrame({"patient": split.keys(), "split": split.values()})
        table.to_csv(folder / f"fold{number}.csv", index=False)
    roles = zip(("primary", "secondary"), names[1:], strict=False)
    content = {
        "name": "placebo",
        "title": "One function under several names",
        "profile": "tour",
        "settings": {"data.dataset": "custom"},
        "folds": [f"fold{number}.csv" for number in range(1, len(tests) + 1)],
        "networks": {name: {"network": "unet"} for name in names},
        "waves": [{"seed": seed, "networks": list(names)} for seed in range(1, case.design.seeds[0] + 1)],
        "margin": case.margin,
        "comparisons": [
            {"question": f"is it {name}", "role": role, "first": names[0], "second": name} for role, name in roles
        ],
    }
    path = folder / "placebo.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return read_plan(path)


def verdicts_of(plan: Plan, truth: Truth, rounds: int) -> list[tuple[str, ...]]:
    """Simulate the scores of a plan many times and read them; return the verdicts of its questions, each time."""
    found = []
    for number in range(rounds):
        with TemporaryDirectory() as folder:
            simulate_scores(plan, Path(folder), truth, f" {number}")
            found.append(tuple(answer.verdict for answer in answers(read_scored(plan, Path(folder)))))
    return found


def file_rates(case: Case, rounds: int, networks: int = 2) -> dict[str, float]:
    """Judge a plan from files many times: one function under several names, and then with a gain of the first.

    Returns:
        Shares of the rounds. Of one function: same, the primary question has a verdict of a difference; any, one of the
        questions has; equivalent and few, the primary verdict says so ("carried by few patients"). With the smallest
        gain that the design finds with `PROMISED`: planted, "supported".
    """
    gain = smallest_gain(case.design, case.truth, PROMISED)
    with TemporaryDirectory() as folder:
        plan = placebo_plan(case, Path(folder), networks)
        null = verdicts_of(plan, replace(case.truth, patients=0.0), rounds)
        better = verdicts_of(plan, replace(case.truth, effect=gain), rounds)
    return {
        "same": _share(words[0].startswith(_DIFFERENT) for words in null),
        "any": _share(any(word.startswith(_DIFFERENT) for word in words) for words in null),
        "equivalent": _share("equivalent" in words[0].split(";")[0] for words in null),
        "few": _share("few patients" in words[0] for words in null),
        "planted": _share(words[0].startswith("supported") for words in better),
    }


def _share(told: Iterable[bool]) -> float:
    return float(np.mean(list(told)))
