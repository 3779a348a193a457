"""Control maps, which separate the effect of attention from that of capacity: same network and cost, other maps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from shutil import copyfile

import numpy as np
import pandas as pd

from dainet.attention.stage import AttentionGrid, open_attention, write_grid
from dainet.cache.store import StageResult, run_stage
from dainet.data.prepared import Prepared
from dainet.errors import InputError

__all__ = ["center_map", "donor_rows", "run_constant", "run_other_patient"]

_VERSION = 1


def center_map(size: int) -> np.ndarray:
    """Return a map [size, size] that has seen no image: 1 in the center of the slice, falling with distance to 0.

    What it finds of an organ, it finds because scanners put organs in the middle.
    """
    ramp = np.arange(size) - (size - 1) / 2
    distance = np.hypot(ramp[:, None], ramp[None])
    return 1 - distance / max(distance.max(), 1)


def run_constant(prepared_vit: Prepared, grid: AttentionGrid) -> StageResult:
    """Store uniform attention over the patches, without any information, or open that of an earlier call.

    No weight of a ViT enters it: backbones with the same number of heads and patch size share it.

    Args:
        prepared_vit: the slices that the maps accompany.
        grid: shape of the maps.
    """
    shape = (len(prepared_vit.images), grid.heads, *grid.grid)

    def build(folder: Path) -> None:
        np.save(folder / "attention.npy", np.full(shape, 1 / (grid.grid[0] * grid.grid[1]), dtype=np.float16))
        write_grid(folder, grid)

    values = {"control": "constant"} | asdict(grid)
    return run_stage("attention", _VERSION, values, {"prepared": prepared_vit.result.key}, build)


def run_other_patient(attention: StageResult, cases: pd.DataFrame) -> StageResult:
    """Store for each slice the true maps of another patient, or open those of an earlier call (see `donor_rows`).

    They show where hearts usually are, but not their slice.

    Args:
        attention: the finished stage with the true maps.
        cases: one line per row of the maps, with the columns patient, phase and split.
    """

    def build(folder: Path) -> None:
        np.save(folder / "attention.npy", open_attention(attention)[0][donor_rows(cases)])
        copyfile(attention.path / "attention.json", folder / "attention.json")

    return run_stage("attention", _VERSION, {"control": "other-patient"}, {"attention": attention.key}, build)


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
            raise InputError(
                f"split {split} has a single patient, {patients[0]}; expected two for attention.control=other-patient: "
                "choose another control or split"
            )
        by_patient = members.groupby("patient")
        volumes = {name: [rows.index.to_numpy() for _, rows in part.groupby("phase")] for name, part in by_patient}
        for patient, donor in zip(patients, [*patients[1:], patients[0]], strict=True):
            for number, rows in enumerate(volumes[patient]):
                given = volumes[donor][number % len(volumes[donor])]
                depth = np.linspace(0, len(given) - 1, len(rows)).round().astype(int)
                donors[rows] = given[depth]
    return donors
