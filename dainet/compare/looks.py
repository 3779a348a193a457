"""Looks at test patients: which plans have had scores on the same ones, and whether a plan was edited on its way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from dainet.cache.folders import figures_folder
from dainet.cache.locks import named_lock
from dainet.cache.records import read_record
from dainet.compare.plan import Plan, plan_hash
from dainet.compare.scores import Scored
from dainet.csv_files import read_csv
from dainet.errors import InputError, reason

__all__ = ["Look", "edited", "note_look", "plans_tested"]

_LEDGER = ".looks.jsonl"  # in the folder of figures; a line per plan and group of test cases, in their order
_TESTED = ("case_id", "class", "labeled_voxels")


@dataclass(frozen=True)
class Look:
    """A plan that has scores on test patients: its name and hash, when the first ones were written, on which cases.

    `date` is in UTC and empty where no record tells it; `sha256` is empty for results from before plans had a hash.
    `shared` counts the test patients that it has in common with the plan that is asked about.
    """

    plan: str
    sha256: str
    date: str
    cases: frozenset[str]
    shared: int = 0


def plans_tested(scored: Scored) -> list[Look]:
    """List the plans with scores on any test patient of a plan, itself included, in the order of their first looks.

    Patients are recognized by their labels on the native grid, whatever they are called and however their scans lie:
    two cases are the same where each class has as many voxels. Known are the plans that were trained into the folder of
    figures of this machine, also where their results are gone, and those whose results lie there. What other machines
    have tested is not counted, nor are cases without any label.
    """
    own = (scored.plan.name, plan_hash(scored.plan))
    patients = [set(_case_hashes(part).values()) for _, part in scored.scores.groupby("patient")]
    found: dict[tuple[str, str], Look] = {}
    for look in [*_noted(), *_of_results()]:
        if (look.plan, look.sha256) == (scored.plan.name, ""):
            look = replace(look, sha256=own[1])
        before = found.setdefault((look.plan, look.sha256), look)
        dates = sorted(filter(None, (before.date, look.date)))
        merged = replace(before, date=dates[0] if dates else "", cases=before.cases | look.cases)
        found[look.plan, look.sha256] = merged
    in_order = sorted(found.values(), key=lambda look: look.date)
    if own not in found:  # scores that lie elsewhere
        in_order.append(Look(*own, "", frozenset().union(*patients)))
    counted = [replace(look, shared=sum(bool(cases & look.cases) for cases in patients)) for look in in_order]
    return [look for look in counted if look.shared or (look.plan, look.sha256) == own]


def note_look(plan: Mapping[str, str], scores: pd.DataFrame) -> None:
    """Note in the folder of figures that a plan has scores on test cases, unless that is noted.

    Args:
        plan: its `name` and `sha256`.
        scores: one line per case and class at least, with the number of labeled voxels.
    """
    with named_lock("looks"):
        known = [look.cases for look in _noted() if (look.plan, look.sha256) == (plan["name"], plan["sha256"])]
        new = set(_case_hashes(scores).values()).difference(*known)
        if new:
            line = {"plan": plan["name"], "sha256": plan["sha256"], "date": now(), "cases": sorted(new)}
            figures_folder().mkdir(parents=True, exist_ok=True)
            with (figures_folder() / _LEDGER).open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(line) + "\n")


def edited(plan: Plan, folder: Path) -> list[str]:
    """List the hashes of other contents of a plan under which trainings in its folder of results were made."""
    hashes = [record["plan"]["sha256"] for _, record in _records(folder) if record.get("plan")]
    return [each for each in dict.fromkeys(hashes) if each != plan_hash(plan)]


def now() -> str:
    """Return date and time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _noted() -> list[Look]:
    ledger = figures_folder() / _LEDGER
    try:
        lines = (
            [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()] if ledger.exists() else []
        )
        return [Look(line["plan"], line["sha256"], line["date"], frozenset(line["cases"])) for line in lines]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{ledger}: cannot be read ({reason(error, ledger)}); it notes which plans were tested on which patients; "
            "delete the damaged line"
        ) from error


def _of_results() -> Iterator[Look]:
    """Give what the results in the folder of figures say, which may have come from other machines."""
    for folder in sorted(path.parent for path in figures_folder().glob("*/records")):
        for path, record in _records(folder):
            table = folder / "scores" / f"{path.stem}.csv"
            if table.is_file():
                plan = record.get("plan", {"name": folder.name, "sha256": ""})  # of before plans had a hash
                cases = frozenset(_case_hashes(read_csv(table, _TESTED[-1:])).values())
                yield Look(plan["name"], plan["sha256"], record.get("date", ""), cases)


def _records(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((folder / "records").glob("*.json")):
        yield path, read_record(path)


def _case_hashes(scores: pd.DataFrame) -> dict[str, str]:
    """Return a hash of the labels of each case: how many voxels its classes have, in order of size."""
    if not set(_TESTED) <= set(scores.columns):  # the first study's
        return {}
    sizes = scores.drop_duplicates(["case_id", "class"]).query("labeled_voxels > 0").groupby("case_id")
    return {str(case): _hash(part["labeled_voxels"]) for case, part in sizes}


def _hash(sizes: Collection[float]) -> str:
    return hashlib.sha256(json.dumps(sorted(map(int, sizes))).encode()).hexdigest()[:20]
