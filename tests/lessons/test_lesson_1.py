"""Notebook 1: typical answers to its exercises, and what its prose says about figures and tables."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from nbformat import NotebookNode

from dainet.data.check import check_source
from dainet.data.phantoms.cardiac import make_cardiac_patient
from dainet.data.preprocessing import normalize, resize_slices
from dainet.data.sources import evenly_spaced, open_source
from dainet.lessons.answers import EXERCISES
from dainet.protocol import CLASSES, load_split, published_table
from dainet.settings import load_settings
from tests.helpers import REPOSITORY
from tests.helpers.formats import nnunet
from tests.helpers.notebooks import check_wrong, lesson, shown

HEART = make_cardiac_patient(2)
FILLED, CONTRACTED = (int((HEART.phases[phase][1] == 3).sum()) for phase in ("ED", "ES"))
ML = FILLED * np.prod(HEART.spacing_mm) / 1000


def share_of_shuffles() -> float:
    """Every way to choose 7 training slices and 2 test slices of 10, counted."""
    leaking = total = 0
    for training in combinations(range(10), 7):
        rest = set(range(10)) - set(training)
        for test in combinations(rest, 2):
            total += 2
            leaking += sum(bool({slice_ - 1, slice_ + 1} & set(training)) for slice_ in test)
    return leaking / total


def simulated(per_scan: bool) -> float:
    """Every slice drawn on its own; all test slices of all scans together, or the mean of the scans' shares."""
    part = np.random.default_rng(0).choice(3, (100_000, 10), p=(0.7, 0.1, 0.2))
    training = np.pad(part == 0, ((0, 0), (1, 1)))
    test = part == 2
    leaking = test & (training[:, :-2] | training[:, 2:])
    if not per_scan:
        return leaking.sum() / test.sum()
    with_test = test.any(axis=1)
    return (leaking.sum(axis=1)[with_test] / test.sum(axis=1)[with_test]).mean()


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("1.1", 1 - CONTRACTED / FILLED),
        ("1.1", round(1 - CONTRACTED / FILLED, 2)),
        ("1.2", ML),
        ("1.2", round(ML)),
        ("1.3", "b"),
        ("1.3", "B"),
        ("1.4", 0.868),
        ("1.4", simulated(per_scan=False)),
    ],
)
def test_right_answers(number: str, answer: object) -> None:
    assert EXERCISES[number].fault(answer, {}) is None


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("1.1", 100 * (1 - CONTRACTED / FILLED), "percent"),
        ("1.1", CONTRACTED / FILLED, "leaves"),
        ("1.1", 0.5, ""),
        ("1.2", 1000 * ML, "1000"),
        ("1.2", FILLED, "voxels"),
        ("1.2", ML / HEART.spacing_mm[0], "deep"),
        ("1.3", "a", "128 px"),
        ("1.3", "c", "pays"),
        ("1.3", 2, "a, b, c"),
        ("1.4", 86.8, "percent"),
        ("1.4", share_of_shuffles(), "shuffle"),
        ("1.4", simulated(per_scan=True), "single scans"),
        ("1.4", 0.901, "single scans"),
        ("1.4", 0.904, "single scans"),
        ("1.4", 0.906, "inner"),
        ("1.4", 0.91, "inner"),
        ("1.4", 0.7, "two neighbors"),
        ("1.4", 0.84, ""),
        ("1.4", 0.89, ""),
    ],
)
def test_wrong_answers_and_what_is_said(number: str, answer: object, words: str) -> None:
    check_wrong(number, answer, words)


@pytest.fixture(scope="module")
def notebook() -> NotebookNode:
    return lesson("01")


def test_our_patient_is_the_first_test_patient(notebook: NotebookNode) -> None:
    assert "patient002_ED" in shown(notebook, "slice_montage(prepared")


def test_the_heart_fills_a_small_part_of_the_picture(notebook: NotebookNode) -> None:
    share = 100 * (HEART.phases["ED"][1][2] > 0).mean()
    assert f"found: {share:.3g} %" in shown(notebook, "labeled_heart(image")
    assert share < 20


def test_the_first_slice_is_empty_and_the_right_ventricle_ends_first() -> None:
    sizes = np.array([[(plane == value).sum() for value in (1, 2, 3)] for plane in HEART.phases["ED"][1]])
    assert sizes[0].sum() == 0
    assert sizes[-1, 0] == 0 < sizes[-1, 2]


def test_no_threshold_separates_muscle_and_blood_before_scaling_and_one_does_after() -> None:
    hearts = [make_cardiac_patient(number).phases["ED"] for number in range(1, 13)]
    for mode in ("as recorded", "minmax", "percentile", "zscore"):
        scaled = [image if mode == "as recorded" else normalize(image, mode) for image, _ in hearts]
        muscle, blood = (
            [np.median(scan[label == value]) for scan, (_, label) in zip(scaled, hearts, strict=True)]
            for value in (2, 3)
        )
        assert (max(muscle) < min(blood)) == (mode != "as recorded")


def test_the_myocardium_has_the_lowest_ceiling_and_224_px_cost_hearts_little(notebook: NotebookNode) -> None:
    rows = {line.split()[0]: line.split()[2:] for line in shown(notebook, "ceilings = ").splitlines() if " px" in line}
    table = {size: dict(zip(CLASSES["acdc"].names, map(float, values), strict=True)) for size, values in rows.items()}
    assert all(min(values, key=values.__getitem__) == "Myo" for size, values in table.items() if size != "224")
    assert min(table["224"].values()) > 0.99
    assert table["128"]["Myo"] - 0.92 < 1 - 0.93, "exercise 1.3: B is closer to what it could reach"


def test_the_ceilings_read_no_patient_outside_the_split(notebook: NotebookNode, tmp_path: Path) -> None:
    nnunet(tmp_path / "data")
    (tmp_path / "data" / "imagesTr" / "c_0000.nii.gz").write_bytes(b"")
    (tmp_path / "mine.csv").write_text("patient,split\na,train\nb,test\n")
    given = {"dataset": "custom", "source": str(tmp_path / "data"), "split": str(tmp_path / "mine.csv")}
    settings = load_settings("tour", {f"data.{name}": value for name, value in given.items()})
    data, report = open_source(settings.data), check_source(settings.data)
    made = {"settings": settings, "data": data, "report": report, "classes": data.classes.names, "np": np}
    made |= {"guess": None, "predicted": lambda *_: None}
    [cell] = [cell.source for cell in notebook.cells if "def ceiling" in cell.source]
    exec(cell, made | {"resize_slices": resize_slices, "evenly_spaced": evenly_spaced})


def test_the_splits_are_as_told(notebook: NotebookNode) -> None:
    carved = shown(notebook, "carved = ")
    for name, counts in {"transunet": (18, 0, 12), "carved": (15, 3, 12)}.items():
        parts = list(load_split("synapse", name).values())
        assert tuple(parts.count(part) for part in ("train", "valid", "test")) == counts
    assert [line.split() for line in carved.splitlines() if line.startswith("valid ")] == [["valid", "3", "0"]]
    assert list(load_split("acdc", "mtunet").values()).count("train") == 70


def test_the_experts_agree_as_the_protocol_says(notebook: NotebookNode) -> None:
    prose = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    told = re.findall(r"(0\.9\d\d) \((RV|Myo|LV)\)", prose)
    row = (REPOSITORY / "docs" / "protocol.md").read_text(encoding="utf-8").split('id="5.35"')[1].splitlines()[0]
    assert len(told) == 3
    assert all(f"{name} {value}" in row for value, name in told)


def test_lead_of_the_paper() -> None:
    table = published_table("acdc", "table2").set_index("model")["dsc"]
    assert table["dual-1111"] - table["unet"] == pytest.approx(0.33)
