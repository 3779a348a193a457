"""What is odd in a data set without being wrong for sure: places where it contradicts itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from dainet.data.arrangement import wrong_way_round
from dainet.data.formats.headers import header_contradictions
from dainet.data.patient_names import patients_on_two_sides
from dainet.data.sources import Source

__all__ = ["find_suspicions"]

_ODD_SIZE = 4.0  # times larger or smaller than the median of the class
_ENOUGH_CASES = 5  # for a median that says something
_EXCHANGED = 1.5  # times larger than the median along one axis, and smaller along another


def find_suspicions(cases: pd.DataFrame, source: Source) -> list[str]:
    """Return one sentence for each oddity; each names the case and both numbers.

    Args:
        cases: one row per readable case, as in `dainet.data.check.Report`, and patient, phase, sha256, edges_mm
            (z, y, x; NaN where unknown), and the columns that `dainet.data.arrangement.wrong_way_round` takes.
        source: the data set of the cases.
    """
    read = set(cases["case_id"])
    files = [(case.case_id, path) for case in source.cases if case.case_id in read for path in case.files]
    return [
        *_miscounted(source),
        *_one_image_twice(cases),
        *_one_patient_twice(cases),
        *_odd_spacing(cases),
        *(f"{case_id}: {line}" for case_id, path in files for line in header_contradictions(path)),
        *_exchanged_axes(cases),
        *(_windowed(cases) if source.is_ct and "raw" in source.format.name else []),
        *(_exchanged_phases(cases) if "LV" in source.classes.names else []),
        *(line for name in source.classes.names for line in _odd_sizes(cases, name)),
        *wrong_way_round(cases, source.classes.names),
    ]


def _miscounted(source: Source) -> list[str]:
    announced = source.description.announced if source.description else None
    if announced is None or announced == len(source.cases):
        return []
    return [f"dataset.json announces {announced} cases (numTraining), found {len(source.cases)} with image and label"]


def _one_image_twice(cases: pd.DataFrame) -> list[str]:
    same = [group for _, group in cases.groupby("sha256", sort=False) if len(group) > 1]
    harmless = [group for group in same if group.loc[group["split"] != "none", "split"].nunique() < 2]
    return [f"{' and '.join(group['case_id'])} are the same image under several names" for group in harmless]


def _one_patient_twice(cases: pd.DataFrame) -> list[str]:
    split = dict(cases.loc[cases["split"] != "none", ["patient", "split"]].itertuples(index=False))
    return [
        f"{' and '.join(f'{name} ({split[name]})' for name in names)} look like one patient by their names; "
        "if they are, keep them on one side with data.split=FILE"
        for names in patients_on_two_sides(split).values()
    ]


def _odd_spacing(cases: pd.DataFrame) -> list[str]:
    if (cases["spacing_mm"] == "unknown").all():
        return ["the format stores no voxel spacing: no distance in millimeters can be computed without data.spacing"]
    lost = cases.loc[cases["spacing_mm"] == "1.00 x 1.00 x 1.00", "case_id"]
    return [f"{case_id}: spacing 1 x 1 x 1 mm, probably lost in a conversion" for case_id in lost]


def _exchanged_axes(cases: pd.DataFrame) -> list[str]:
    """Find cases whose sizes or voxel edges would fit the other cases if two axes were exchanged."""
    if len(cases) < _ENOUGH_CASES:
        return []
    measured = {
        "px": cases[["slices", "height", "width"]].to_numpy(float),
        "mm": np.array(cases["edges_mm"].tolist(), dtype=float),
    }
    return [
        f"{case_id}: {_listed(found)} {unit} (slices, rows, columns), the median is {_listed(median)} {unit}; "
        f"{axes} look exchanged"
        for unit, values in measured.items()
        if np.isfinite(values).any(axis=0).all()
        for case_id, (found, median, axes) in _fitting_if_exchanged(cases["case_id"], values)
    ]


def _fitting_if_exchanged(ids: Sequence[str], values: np.ndarray) -> Iterator[tuple[str, tuple]]:
    """Yield the cases of values [N, 3] that deviate from the median in two axes, and hardly with these exchanged.

    Rows and columns are left out: a picture may be wider than high or the reverse.
    """
    median = np.nanmedian(values, axis=0)
    for case_id, row in zip(ids, values, strict=True):
        for other, name in ((1, "slices and rows"), (2, "slices and columns")):
            off = np.log(row / median)[[0, other]]
            exchanged = np.log(row[[other, 0]] / median[[0, other]])
            opposite = off[0] * off[1] < 0 and np.abs(off).min() > np.log(_EXCHANGED)
            if opposite and np.abs(exchanged).sum() < np.abs(off).sum() / 2:
                yield case_id, (row, median, name)


def _listed(numbers: np.ndarray) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)


def _windowed(cases: pd.DataFrame) -> list[str]:
    windowed = cases.loc[cases["lowest"] > -200, "case_id"]
    return [f"{case_id}: no value below -200 HU, so no air; windowed or shifted already?" for case_id in windowed]


def _exchanged_phases(cases: pd.DataFrame) -> list[str]:
    """Patients whose left ventricle is smaller at ED, where the heart is relaxed, than at ES (docs/protocol.md#2.5)."""
    sizes = cases.pivot_table(index="patient", columns="phase", values="LV", sort=False)
    if not {"ED", "ES"} <= set(sizes.columns):
        return []
    return [
        f"{patient}: LV has {ed:.0f} voxels at ED and {es:.0f} at ES, expected more at ED; "
        "the phases look exchanged, compare with Info.cfg and the film"
        for patient, ed, es in sizes.loc[sizes["ED"] < sizes["ES"], ["ED", "ES"]].itertuples()
    ]


def _odd_sizes(cases: pd.DataFrame, name: str) -> list[str]:
    present = cases.loc[cases[name] > 0, name]
    odd = [f"{case_id}: no {name}" for case_id in cases.loc[cases[name] == 0, "case_id"]]
    if len(present) < _ENOUGH_CASES:
        return odd
    median = present.median()
    for case_id, voxels in cases.loc[present.index, ["case_id", name]].itertuples(index=False):
        if not median / _ODD_SIZE <= voxels <= median * _ODD_SIZE:
            odd.append(f"{case_id}: {voxels} voxels of {name}, the median is {median:.0f}")
    return odd
