"""The folds of the next studies, dealt by the rules of docs/claims.md; `python -m study.folds` writes them again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dainet.compare.folds import write_folds
from dainet.protocol import load_split

__all__ = ["PLANS", "acdc_folds", "chaos_folds", "pathology_of"]

PLANS = Path(__file__).with_name("plans")
_SAME_SCAN_TWICE = "patient074"  # its images are those of patient076
_PATHOLOGIES = {"DCM": 1, "HCM": 21, "MINF": 41, "NOR": 61, "RV": 81}  # first id; ACDC's ids are sorted by pathology
_CHAOS = (1, 2, 3, 5, 8, 10, 13, 15, 19, 20, 21, 22, 31, 32, 33, 34, 36, 37, 38, 39)


def acdc_folds() -> list[dict[str, str]]:
    """Deal 99 patients of ACDC to five folds: patient -> "train", "valid" or "test" for each.

    Fold 1 is the paper's own split. The other patients are dealt out one after another, by pathology and within it by
    id, to the folds 2, 3, 4, 5, 2, ... Validation patients of these are the first two of each pathology among the test
    patients of the next fold (5 is followed by 2).
    """
    paper = {patient: split for patient, split in load_split("acdc", "mtunet").items() if patient != _SAME_SCAN_TWICE}
    groups = {kind: [f"patient{i:03d}" for i in range(first, first + 20)] for kind, first in _PATHOLOGIES.items()}
    others = [each for ids in groups.values() for each in ids if each in paper and paper[each] != "test"]
    tests = [others[start::4] for start in range(4)]
    valid = [[each for ids in groups.values() for each in [t for t in test if t in ids][:2]] for test in tests]
    return [paper, *(_fold(sorted(paper), tests[i], valid[(i + 1) % 4]) for i in range(4))]


def chaos_folds() -> list[dict[str, str]]:
    """Deal the 20 patients of CHAOS to five folds by id: four are tested, the next three validate, thirteen train."""
    patients = [f"chaos_{i:03d}" for i in _CHAOS]
    order = patients + patients[:3]
    return [_fold(patients, order[start : start + 4], order[start + 4 : start + 7]) for start in range(0, 20, 4)]


def pathology_of(patient: str) -> str:
    """Return the pathology of a patient of ACDC, whose ids are sorted by it."""
    number = int(patient.removeprefix("patient"))
    return max((first, kind) for kind, first in _PATHOLOGIES.items() if first <= number)[1]


def _fold(patients: Sequence[str], test: Sequence[str], valid: Sequence[str]) -> dict[str, str]:
    return {each: "test" if each in test else "valid" if each in valid else "train" for each in patients}


if __name__ == "__main__":
    write_folds(PLANS / "acdc", acdc_folds())
    write_folds(PLANS / "chaos", chaos_folds())
