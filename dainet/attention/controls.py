"""Control maps, which separate the effect of attention from that of capacity: same network and cost, other maps."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from typing import Literal

import numpy as np
import pandas as pd

from dainet.attention.stage import open_attention
from dainet.cache.store import StageResult, run_stage
from dainet.errors import InputError

__all__ = ["donor_rows", "run_control"]

_VERSION = 1


def run_control(
    attention: StageResult, control: Literal["constant", "other-patient"], cases: pd.DataFrame
) -> StageResult:
    """Store control maps, which have the same shape but do not show their slice, or open those of an earlier call.

    Args:
        attention: the finished stage with the true maps.
        control: "constant" is uniform attention over the patches, without any information; "other-patient" gives each
            slice the true maps of another patient (see `donor_rows`), which show where hearts usually are.
        cases: one line per row of the maps, with the columns patient, phase and split.
    """
    return run_stage(
        "attention",
        _VERSION,
        {"control": control},
        {"attention": attention.key},
        lambda folder: _write(folder, attention, control, cases),
    )


def donor_rows(cases: pd.DataFrame) -> np.ndarray:
    """Return for each row [N] the row whose maps it gets: next patient of the split, same phase, same relative depth.

    Patients are ordered by id, and the last one gets the maps of the first. Ids of ACDC are sorted by pathology, so a
    donor mostly has the same pathology, which makes this a hard control. Rows left out of the split keep their own
    maps, which nothing reads.

    Raises:
        InputError: a split has a single patient.
    """
    donors = np.arange(len(cases))
    for split, members in cases[cases["split"] != "left out"].groupby("split"):
        patients = sorted(members["patient"].unique())
        if len(patients) < 2:
            raise InputError(f"split {split} has a single patient, {patients[0]}; maps of another need two")
        by_patient = members.groupby("patient")
        volumes = {name: [rows.index.to_numpy() for _, rows in part.groupby("phase")] for name, part in by_patient}
        for patient, donor in zip(patients, [*patients[1:], patients[0]], strict=True):
            for number, rows in enumerate(volumes[patient]):
                given = volumes[donor][number % len(volumes[donor])]
                depth = np.linspace(0, len(given) - 1, len(rows)).round().astype(int)
                donors[rows] = given[depth]
    return donors


def _write(folder: Path, attention: StageResult, control: str, cases: pd.DataFrame) -> None:
    maps, grid = open_attention(attention)
    if control == "constant":
        stored = np.full(maps.shape, 1 / (grid.grid[0] * grid.grid[1]), dtype=maps.dtype)
    else:
        stored = maps[donor_rows(cases)]
    np.save(folder / "attention.npy", stored)
    copyfile(attention.path / "attention.json", folder / "attention.json")
