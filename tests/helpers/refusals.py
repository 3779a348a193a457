"""Helpers for tests of bad input: raw ACDC to damage, a harmful pickle, and the check of an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from dainet.data.check import Report, check_source
from dainet.data.prepared import run_prepared
from dainet.data.volume import DataError
from dainet.settings import DataSettings
from tests.helpers.formats import acdc_patient


def settings(folder: Path, dataset: str = "acdc", **values: object) -> DataSettings:
    return DataSettings.model_validate({"dataset": dataset, "source": str(folder)} | values)


def left_in(runs: Path) -> list[Path]:
    return list((runs / "prepared").glob("*"))


def refused(folder: Path, runs: Path, words: str, dataset: str = "acdc") -> Report:
    """Assert that a check reports one line with these words, and that a run raises it and leaves nothing."""
    report = check_source(settings(folder, dataset))
    assert len(report.problems) == 1, report.problems
    assert re.fullmatch(f".*{words}.*", report.problems[0]), report.problems
    assert str(folder) not in report.problems[0]
    with pytest.raises(DataError) as caught:
        run_prepared(settings(folder, dataset), 32)
    assert str(caught.value) == report.problems[0]
    assert left_in(runs) == []
    return report


class Pair(NamedTuple):
    """A data set in which one case is damaged later: image and label file of that case."""

    dataset: str
    case_id: str
    image: Path
    label: Path


def raw_acdc(folder: Path) -> Pair:
    for number in (1, 2):  # trains, tests
        acdc_patient(folder / f"patient{number:03d}", seed=100 * number)
    stem = folder / "patient002" / "patient002_frame01"
    return Pair("acdc", "patient002_ED", Path(f"{stem}.nii.gz"), Path(f"{stem}_gt.nii.gz"))


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)
