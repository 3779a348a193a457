"""Names that look like several scans of one patient."""

from __future__ import annotations

import pytest

from dainet.data.patient_names import patients_on_two_sides


@pytest.mark.parametrize(
    "names",
    [
        *[("case_001a", "case_001b"), ("patient12_ED", "patient12_ES"), ("P01_visit1", "P01_visit2")],
        *[
            ("sub-01_ses-1", "sub-01_ses-02"),
            ("patient001_frame01", "patient001_frame12"),
            ("7_baseline", "7_followup2"),
        ],
        *[
            ("7_baseline", "7_followup2"),
            ("p3_visit1_ED", "p3_visit2_ES"),
            ("12-left", "12-right"),
            ("case_1", "Case-001"),
        ],
        *[
            ("scan5_b", "scan5_c"),
            ("P1_01", "P1_02"),
            ("p01session1", "p01_session2"),
            ("pat 4 post", "pat 4 pre"),
            ("x9_t1", "x9_t2"),
        ],
    ],
)
def test_one_patient(names: tuple[str, str]) -> None:
    others = {f"{names[0][:2]}other{i}": "train" for i in (71, 82, 93)}
    first, second = names
    assert list(patients_on_two_sides({first: "train", second: "test"} | others).values()) == [[first, second]]
    assert patients_on_two_sides({first: "test", second: "test"} | others) == {}


@pytest.mark.parametrize(
    "names",
    [
        *[("chaos_001", "chaos_002"), ("patient001", "patient002"), ("a", "b"), ("case0005", "case0006")],
        *[("BRATS_001", "BRATS_002"), ("visit1", "visit2"), ("scan_01", "scan_02"), ("site_a", "site_b")],
        *[
            ("H2_Pat5", "H2_Pat6"),
            ("H2_subjects5", "H2_subjects6"),
            ("kidney_l", "kidney_r"),
            ("train_scan_1", "train_scan_2"),
        ],
    ],
)
def test_two_patients(names: tuple[str, str]) -> None:
    assert (
        patients_on_two_sides({names[0]: "train", names[1]: "test"} | {f"H{i}_Pat{i}": "train" for i in range(9)}) == {}
    )


def test_a_hospital_and_a_number_are_no_patient() -> None:
    names = [f"site{site}_{number:03d}" for site in (1, 2) for number in range(10)]
    assert patients_on_two_sides({name: ("train", "test")[i % 2] for i, name in enumerate(names)}) == {}
