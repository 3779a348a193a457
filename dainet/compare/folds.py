"""Folds of a plan: every patient is tested once, scans of one person stay together, groups are spread evenly."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from dainet.cache.atomic import write_complete
from dainet.data.duplicates import KNOWN_TWINS
from dainet.data.patient_names import look_like_one_patient
from dainet.errors import InputError

__all__ = ["deal", "person_names", "persons_of", "without_twins", "write_folds"]

_TESTED = 2  # persons in each fold at least: a variance within a fold needs two


def deal(patients: Collection[str], groups: Mapping[str, str], folds: int) -> list[dict[str, str]]:
    """Deal patients to folds: "train", "valid" or "test" for each patient, sorted by name, for each fold.

    Persons, sorted by group and name, are dealt out one after another, so that every fold tests about as many of each
    group. Every other person that the next fold tests (after the last: the first) validates, and all others train.
    Nothing is drawn by chance: the same patients give the same folds.

    Args:
        patients: names, of which several may look like one person (`persons_of`).
        groups: a group, such as a pathology, of each patient whose group is known.
        folds: two or more.

    Raises:
        InputError: fewer than two folds, or fewer than two persons to be tested in each.
    """
    persons = persons_of(patients)
    if folds < 2 or len(persons) < _TESTED * folds:
        raise InputError(
            f"{len(persons)} patients for {folds} folds; expected two folds or more, each of which tests at least "
            f"{_TESTED} patients, so at most {max(len(persons) // _TESTED, 1)}; 1 stands for the data set's own split"
        )
    ordered = sorted(persons, key=lambda person: (groups.get(person[0], ""), person))
    tests = [ordered[start::folds] for start in range(folds)]
    return [_fold(persons, tests[number], tests[(number + 1) % folds][::2]) for number in range(folds)]


def persons_of(patients: Collection[str]) -> list[tuple[str, ...]]:
    """Return the names of each person, sorted: one, or several that look like scans of one, such as P01_visit2."""
    several = [tuple(sorted(names)) for names in look_like_one_patient(patients).values()]
    alone = set(patients) - {name for names in several for name in names}
    return sorted([*several, *((name,) for name in alone)])


def person_names(patients: Collection[str]) -> dict[str, str]:
    """Return one name of its person for each patient: its own, or those of several scans, joined by "+"."""
    return {name: "+".join(names) for names in persons_of(patients) for name in names}


def without_twins(patients: Collection[str]) -> list[str]:
    """Return the patients, sorted, without those whose scan is known to be that of another one, as in ACDC."""
    twins = {name for pair in KNOWN_TWINS if pair <= set(patients) for name in sorted(pair)[:-1]}
    return sorted(set(patients) - twins)


def write_folds(folder: Path, folds: Sequence[Mapping[str, str]]) -> list[Path]:
    """Write each fold as fold1.csv, fold2.csv, ... (columns patient and split) and return the paths."""
    paths = [folder / f"fold{number}.csv" for number in range(1, len(folds) + 1)]
    for path, fold in zip(paths, folds, strict=True):
        lines = "".join(f"{patient},{part}\n" for patient, part in sorted(fold.items()))
        write_complete(path, "patient,split\n" + lines)
    return paths


def _fold(
    persons: Sequence[tuple[str, ...]], test: Collection[tuple[str, ...]], valid: Collection[tuple[str, ...]]
) -> dict[str, str]:
    parts = {person: "test" if person in test else "valid" if person in valid else "train" for person in persons}
    return dict(sorted((name, part) for person, part in parts.items() for name in person))
