"""Splits: every patient belongs to training, validation or test, never to two of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PureWindowsPath

from dainet.data.sources import Source, evenly_spaced
from dainet.data.volume import DataError
from dainet.errors import unknown
from dainet.protocol import DEFAULT_SPLIT, load_split
from dainet.settings import DataSettings

__all__ = ["choose_patients", "concerns", "resolve_split", "spread"]


def resolve_split(settings: DataSettings, source: Source) -> tuple[str, dict[str, str]]:
    """Return the name of the split, and "train", "valid" or "test" for each patient id, including patients not found.

    An empty name means the data set's default; a custom data set without a split file is split by `spread`.

    Raises:
        InputError: see `load_split`.
    """
    if not settings.split and settings.dataset not in DEFAULT_SPLIT:
        broken = {problem.patient for problem in source.problems if problem.patient}
        return "spread", spread(sorted({case.patient for case in source.cases} | broken))
    name = settings.split or DEFAULT_SPLIT[settings.dataset]
    return PureWindowsPath(name).name, load_split(settings.dataset, name)  # splits at / and at \\


def spread(patients: list[str]) -> dict[str, str]:
    """Split about 70/10/20: of every ten sorted ids the 3rd and the 8th go to test, the 6th to validation."""
    kinds = ("train", "train", "test", "train", "train", "valid", "train", "test", "train", "train")
    return {patient: kinds[i % 10] for i, patient in enumerate(patients)}


def concerns(problem: DataError, split: Mapping[str, str]) -> bool:
    """Tell whether a problem is about a patient of the split, or about all patients."""
    return not problem.patient or problem.patient in split


def choose_patients(
    split: Mapping[str, str], found: set[str], train_patients: int | tuple[str, ...] | None
) -> dict[str, str]:
    """Choose the patients of a split that were found, with fewer training patients on request.

    A number is spread evenly over the sorted training ids, because ACDC's ids are sorted by pathology.

    Raises:
        DataError: no patient is left for training or test, or more or other training patients are asked for than found.
    """
    train = sorted(patient for patient in found if split.get(patient) == "train")
    kept = set(train if train_patients is None else _thin_out(train, train_patients))
    chosen = {p: split[p] for p in sorted(found) if p in split and (split[p] != "train" or p in kept)}
    for name in ("train", "test"):
        if name not in chosen.values():
            raise DataError(f"the split has no {name} patient among the {len(found)} patients found; check the ids")
    return chosen


def _thin_out(train: list[str], wanted: int | tuple[str, ...]) -> list[str]:
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(train):
            raise DataError(
                f"data.train_patients is {wanted}, but there are {len(train)} training patients; ask for fewer"
            )
        return evenly_spaced(train, wanted)
    for patient in wanted:
        if patient not in train:
            raise unknown("data.train_patients: patient", patient, train)
    return list(wanted)
