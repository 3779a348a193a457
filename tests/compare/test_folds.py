"""Folds: every patient is tested once, scans of one person stay together, groups are spread evenly."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dainet.compare.folds import deal, persons_of, without_twins, write_folds
from dainet.errors import InputError
from dainet.protocol import load_split
from study.folds import acdc_folds, pathology_of

PATIENTS = [f"patient{number:03d}" for number in range(1, 24)]
GROUPS = {patient: "ABC"[number % 3] for number, patient in enumerate(PATIENTS)}


def of(fold: dict[str, str], part: str) -> set[str]:
    return {patient for patient, found in fold.items() if found == part}


@pytest.mark.parametrize("folds", [2, 3, 5, 11])
def test_every_patient_is_tested_once_and_the_next_fold_validates(folds: int) -> None:
    dealt = deal(PATIENTS, GROUPS, folds)
    assert Counter(patient for fold in dealt for patient in of(fold, "test")) == dict.fromkeys(PATIENTS, 1)
    for number, fold in enumerate(dealt):
        following = of(dealt[(number + 1) % folds], "test")
        assert set(fold) == set(PATIENTS)
        assert of(fold, "valid") < following
        assert len(of(fold, "valid")) == (len(following) + 1) // 2
        assert of(fold, "train")


@pytest.mark.parametrize("folds", [3, 5])  # dealt by name alone, each of three folds would test one group
def test_the_groups_of_a_fold_differ_by_one_patient_at_most_from_an_even_share(folds: int) -> None:
    for fold in deal(PATIENTS, GROUPS, folds):
        counts = Counter(GROUPS[patient] for patient in of(fold, "test"))
        assert all(abs(counts[group] - 23 / 3 / folds) < 1 for group in "ABC")


def test_the_order_of_the_patients_does_not_count() -> None:
    assert deal(PATIENTS[::-1], GROUPS, 5) == deal(PATIENTS, GROUPS, 5)


def test_scans_of_one_person_stay_together() -> None:
    scans = [f"P{person:02d}_visit{visit}" for person in range(1, 9) for visit in range(1, 1 + person % 3 + 1)]
    assert len(persons_of(scans)) == 8
    for fold in deal(scans, {}, 4):
        assert all(len({fold[name] for name in person}) == 1 for person in persons_of(scans))


@pytest.mark.parametrize(("patients", "folds", "most"), [(9, 5, "4"), (3, 2, "1"), (23, 1, "11"), (0, 2, "1")])
def test_too_few_patients_are_refused_with_numbers(patients: int, folds: int, most: str) -> None:
    with pytest.raises(InputError, match=rf"^{patients} patients for {folds} folds.* at most {most};"):
        deal(PATIENTS[:patients], {}, folds)


def test_dealing_tests_the_patients_that_the_registered_folds_of_acdc_test() -> None:
    """Folds 2 to 5 of the registered plan were dealt by the same rule; they validate by another one."""
    registered = acdc_folds()
    others = sorted(set(registered[0]) - of(registered[0], "test"))
    dealt = deal(others, {patient: pathology_of(patient) for patient in others}, 4)
    assert [of(fold, "test") for fold in dealt] == [of(fold, "test") for fold in registered[1:]]


def test_one_scan_under_two_names_is_left_out_once() -> None:
    assert without_twins(["patient076", "patient074", "patient001"]) == ["patient001", "patient076"]
    assert without_twins(["patient074", "patient001"]) == ["patient001", "patient074"]


def test_written_folds_are_splits(tmp_path: Path) -> None:
    folds = deal(PATIENTS, GROUPS, 3)
    paths = write_folds(tmp_path, folds)
    assert [path.name for path in paths] == ["fold1.csv", "fold2.csv", "fold3.csv"]
    assert [load_split("custom", str(path)) for path in paths] == folds
