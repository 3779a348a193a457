"""The trainings of the first study, as its plan lists them."""

from __future__ import annotations

from functools import cache

from dainet.compare.plan import Plan, Training, read_plan
from study.folds import PLANS

__all__ = ["PATIENTS", "first_plan", "first_trainings", "load_more_seeds", "load_plan"]

PATIENTS = 40  # training patients of every training that a claim compares
_SEEDS = (0, 1, 2)  # those of the registered study; fresh seeds came later (docs/claims.md, "More seeds")


@cache
def first_plan() -> Plan:
    """Read the plan of the first study."""
    return read_plan(PLANS / "acdc-study.yaml")


def load_plan() -> list[Training]:
    """List the trainings with the three registered seeds, those of a network one after another."""
    found = [each for each in first_plan().trainings() if each.seed in _SEEDS]
    rows = list(dict.fromkeys((each.model, each.patients) for each in found))
    return sorted(found, key=lambda each: (rows.index((each.model, each.patients)), each.seed))


def first_trainings() -> dict[str, Training]:
    """Return, by model, each network's training with `PATIENTS` training patients and its first seed."""
    plan = first_plan().trainings()
    return {each.model: each for each in plan if (each.patients, each.seed) == (PATIENTS, _SEEDS[0])}


def load_more_seeds() -> list[Training]:
    """List the trainings with fresh seeds, seed by seed."""
    return [each for each in first_plan().trainings() if each.seed not in _SEEDS]
