"""The forms in which prepared copies of ACDC circulate; today SSL4MIS-style h5 volumes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import h5py

from dainet.data.volume import Case, DataError, Volume, checked_volume
from dainet.protocol import CLASSES

__all__ = ["find_h5_cases", "read_h5_volume"]

_NAME = re.compile(r"(patient\d{3})_frame(\d+)\.h5$")
# The files carry no Info.cfg. The lower frame is ED in every training patient but this one (PROTOCOL 2.5).
_ED_IS_HIGHER_FRAME = frozenset({"patient090"})


def find_h5_cases(source: Path) -> Iterator[Case]:
    """Find `patientXXX_frameYY.h5` volumes and tell ED from ES by the order of the frames.

    Raises:
        DataError: a patient has not exactly two frames.
    """
    frames: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for path in source.glob("**/*.h5"):
        if match := _NAME.search(path.name):
            frames[match[1]].append((int(match[2]), path))
    for patient, found in sorted(frames.items()):
        if len(found) != 2:
            names = ", ".join(path.name for _, path in found)
            raise DataError(f"{patient}: found {len(found)} annotated frame(s) ({names}), expected two, ED and ES")
        ordered = [path for _, path in sorted(found, reverse=patient in _ED_IS_HIGHER_FRAME)]
        for phase, path in zip(("ED", "ES"), ordered, strict=True):
            yield Case(patient, phase, path, path)


def read_h5_volume(case: Case) -> Volume:
    """Read the datasets `image` and `label` [D, H, W] of one file; the format stores no voxel spacing.

    Raises:
        DataError: see `checked_volume`; also when the file is damaged or lacks a dataset.
    """
    try:
        with h5py.File(case.image_path, "r") as file:
            image, label = file["image"][()], file["label"][()]
    except (OSError, KeyError) as error:
        raise DataError(
            f"{case.case_id}: {case.image_path.name} holds no readable datasets image and label ({error})"
        ) from error
    return checked_volume(case, image, label, None, len(CLASSES["acdc"]))
