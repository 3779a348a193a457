"""A table of voxel edges, for copies of a data set that have lost them (docs/data.md#spacing)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dainet.csv_files import read_csv
from dainet.data.volume import Case, DataError, Volume
from dainet.errors import InputError, reason

__all__ = ["SpacingRow", "missing_rows", "read_spacing", "row_of", "with_spacing"]

_EDGES = ("pixel_mm", "slice_distance_mm")
_COMPARED = ("slices", "rows", "columns", "ed_frame", "es_frame")
_ROUNDED = 0.01  # tables are: share by which an edge may differ from that of the file

SpacingRow = Mapping[str, float]  # numbers by the names of their columns, without empty fields


def read_spacing(path: Path) -> dict[str, SpacingRow]:
    """Read a CSV file with the columns `patient` (or `case`), `pixel_mm` and `slice_distance_mm`.

    `slices`, `rows` and `columns` (voxels of the scan), `ed_frame` and `es_frame` may follow, see `with_spacing`; other
    columns are ignored.

    Returns:
        The rows by patient (or case).

    Raises:
        InputError: the file cannot be read or is not such a table, names nobody or somebody twice, or has a number that
            is not above 0.
    """
    columns = (*_EDGES, *_COMPARED)
    try:
        table = read_csv(path, numbers=columns)
    except OSError as error:
        raise InputError(f"data.spacing: {path.name}: {reason(error, path)}; give a CSV file of voxel edges") from error
    key = "patient" if "patient" in table else "case"
    missing = [column for column in (key, *_EDGES) if column not in table]
    if missing:
        raise InputError(f"{path.name}: no column {missing[0]}; expected patient (or case), {' and '.join(_EDGES)}")
    rows = dict[str, SpacingRow]()
    for name, row in zip(table[key], table.filter(columns).to_dict("records"), strict=True):
        if not name or name in rows:
            found = f"{name} is listed twice" if name else f"a line without a {key}"
            raise InputError(f"{path.name}: {found}; expected one line for each {key}")
        rows[name] = {column: value for column, value in row.items() if column in _EDGES or not np.isnan(value)}
        for column, value in rows[name].items():
            if not 0 < value < np.inf:
                raise InputError(f"{path.name}: {name} has {column} = {value:g}; expected a number above 0")
    return rows


def row_of(case: Case, table: Mapping[str, SpacingRow]) -> SpacingRow | None:
    """Return the row of a case, or of its patient."""
    return table.get(case.case_id, table.get(case.patient))


def missing_rows(cases: Sequence[Case], table: Mapping[str, SpacingRow], resized: bool) -> list[DataError]:
    """Return an error for each patient without a row, or without the size of slices that were resized since.

    Args:
        cases: those of the data set.
        table: see `read_spacing`.
        resized: whether the authors of this copy have resized its slices.
    """
    problems = dict[str, DataError]()
    for case in cases:
        row = row_of(case, table)
        if row is None:
            found = (
                f"data.spacing has no line for it among {len(table)}; add one, or leave the patient out of the split"
            )
            problems[case.patient] = DataError(f"{case.patient}: {found}", case.patient)
        elif resized and not {"rows", "columns"} <= set(row):
            found = "this copy has resized slices, whose pixels are not those of pixel_mm"
            advice = "add the scan's rows and columns to the table of data.spacing"
            problems[case.patient] = DataError(f"{case.patient}: {found}; {advice}", case.patient)
    return list(problems.values())


def with_spacing(case: Case, volume: Volume, row: SpacingRow) -> Volume:
    """Give a volume the edges of its row, after comparing with the file whatever else the row says.

    Slices that are not `rows` x `columns` have been resized, so their pixels are larger or smaller than `pixel_mm`. A
    file that stores edges keeps them.

    Raises:
        DataError: the file has another number of slices, is another frame, or stores other edges.
    """
    slices, height, width = volume.image.shape
    found = {"slices": slices}
    if frame := re.search(r"_frame(\d+)", case.files[0].name):
        found[f"{case.phase.lower()}_frame"] = int(frame[1])
    for column, value in found.items():
        if row.get(column, value) != value:
            raise _contradiction(case, f"{column} = {row[column]:g}", f"{value}")
    y, x = row.get("rows", height) / height, row.get("columns", width) / width
    edges = (row["slice_distance_mm"], row["pixel_mm"] * y, row["pixel_mm"] * x)
    if volume.spacing_mm is None:
        return replace(volume, spacing_mm=edges)
    if not np.allclose(edges, volume.spacing_mm, rtol=_ROUNDED, atol=0):
        raise _contradiction(case, f"edges of {_written(edges)} mm", f"{_written(volume.spacing_mm)} mm (z, y, x)")
    return volume


def _written(edges: Sequence[float]) -> str:
    return " x ".join(f"{edge:.4g}" for edge in edges)


def _contradiction(case: Case, said: str, found: str) -> DataError:
    return DataError(f"{case}: data.spacing says {said}, the file has {found}; is it the table of these files?")
