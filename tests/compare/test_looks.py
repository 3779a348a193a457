"""Looks at test patients: counted by labels, whatever patients and plans are called; and plans that were edited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from dainet.cache.folders import figures_folder
from dainet.cache.records import write_record
from dainet.compare.looks import edited, note_look, plans_tested
from dainet.compare.plan import Plan, plan_hash, read_plan
from dainet.compare.scores import Scored
from dainet.errors import InputError
from tests.compare.test_plan import write_plan

SIZES = {"patient001": (50, 60, 70), "patient002": (51, 60, 70), "patient004": (52, 60, 70)}


@pytest.fixture(autouse=True)
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAINET_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "runs"))
    return tmp_path / "figures"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return read_plan(write_plan(tmp_path))


def table(sizes: Mapping[str, tuple[int, ...]]) -> pd.DataFrame:
    """Scores of these patients, one case each, with so many voxels of each class."""
    return pd.DataFrame(
        {"patient": patient, "case_id": f"{patient}_ED", "class": str(number), "labeled_voxels": size}
        for patient, of_classes in sizes.items()
        for number, size in enumerate(of_classes)
    )


def scored(plan: Plan, sizes: Mapping[str, tuple[int, ...]]) -> Scored:
    return Scored(plan, 1, (), table(sizes), pd.DataFrame())


def named(name: str, sha256: str = "0") -> dict[str, str]:
    return {"name": name, "sha256": sha256}


def of(plan: Plan) -> dict[str, str]:
    return named(plan.name, plan_hash(plan))


def test_plans_are_counted_in_the_order_of_their_first_looks(plan: Plan) -> None:
    note_look(named("first"), table(SIZES))
    note_look(of(plan), table(SIZES))
    note_look(named("third"), table(SIZES))
    note_look(of(plan), table(SIZES))
    assert [(look.plan, look.shared) for look in plans_tested(scored(plan, SIZES))] == [
        *(("first", 3), (plan.name, 3), ("third", 3))
    ]
    assert len((figures_folder() / ".looks.jsonl").read_text().splitlines()) == 3, "noted once"


def test_patients_are_known_by_their_labels_and_not_by_name_or_by_the_order_of_classes(plan: Plan) -> None:
    renamed = {"a": SIZES["patient001"], "b": SIZES["patient004"][::-1], "c": (1, 2, 3)}
    note_look(named("renamed"), table(renamed))
    note_look(named("others"), table({"patient001": (7, 8, 9)}))
    first, own = plans_tested(scored(plan, SIZES))
    assert (first.plan, first.shared) == ("renamed", 2)
    assert (own.plan, own.date, own.shared) == (plan.name, "", 3), "its scores lie elsewhere"


def test_another_content_of_a_plan_is_another_plan(plan: Plan) -> None:
    note_look(named(plan.name), table(SIZES))
    note_look(of(plan), table(SIZES))
    assert [look.sha256 for look in plans_tested(scored(plan, SIZES))] == ["0", plan_hash(plan)]


def test_cases_without_labels_are_not_taken_for_each_other(plan: Plan) -> None:
    note_look(named("empty"), table({"patient001": (0, 0, 0)}))
    (own,) = plans_tested(scored(plan, {"patient002": (0, 0, 0)}))
    assert (own.plan, own.shared) == (plan.name, 0)


def write_results(folder: Path, name: str, facts: Mapping[str, object], sizes: Mapping[str, tuple[int, ...]]) -> None:
    for kind in ("scores", "records"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    table(sizes).to_csv(folder / "scores" / f"{name}.csv", index=False)
    write_record(folder / "records" / f"{name}.json", facts)


def test_results_that_came_from_another_machine_count_too(plan: Plan, figures: Path) -> None:
    note_look(of(plan), table(SIZES))
    write_results(figures / "far", "a", {"plan": named("far"), "date": "2020-01-01T00:00:00+00:00"}, SIZES)
    write_results(figures / "far", "b", {"plan": named("far"), "date": "2020-02-01T00:00:00+00:00"}, SIZES)
    write_results(figures / "old", "a", {}, SIZES)
    looks = plans_tested(scored(plan, SIZES))
    assert [(look.plan, look.date[:10]) for look in looks[:2]] == [("old", ""), ("far", "2020-01-01")]
    assert looks[2].plan == plan.name


def test_own_results_of_before_plans_had_a_hash_are_those_of_the_plan(plan: Plan, figures: Path) -> None:
    write_results(figures / plan.name, "a", {}, SIZES)
    assert [(look.plan, look.sha256) for look in plans_tested(scored(plan, SIZES))] == [(plan.name, plan_hash(plan))]


def test_a_damaged_ledger_is_named(plan: Plan, figures: Path) -> None:
    figures.mkdir()
    (figures / ".looks.jsonl").write_text(json.dumps({"plan": "a"}) + "\n")
    with pytest.raises(InputError, match=r"\.looks\.jsonl"):
        plans_tested(scored(plan, SIZES))


def test_trainings_under_another_content_are_found(plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "figures" / plan.name
    assert edited(plan, folder) == []
    write_results(folder, "a", {"plan": of(plan)}, SIZES)
    write_results(folder, "b", {}, SIZES)
    assert edited(plan, folder) == []
    for name in ("c", "d"):
        write_results(folder, name, {"plan": named(plan.name, "f00")}, SIZES)
    assert edited(plan, folder) == ["f00"]
