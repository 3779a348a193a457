"""From "where the data are" to cases: recognises the format by what lies in the folder."""

from __future__ import annotations

from pathlib import Path

from dainet.data.acdc import find_raw_cases, read_raw_volume
from dainet.data.exchange import find_h5_cases, read_h5_volume
from dainet.data.phantom import write_cardiac_phantoms
from dainet.data.volume import Case, DataError, Volume
from dainet.settings import DataSettings
from dainet.store import run_stage

__all__ = ["PHANTOM_SEED", "find_cases", "read_volume", "source_folder"]

PHANTOM_SEED = 0
_PHANTOM_VERSION = 1


def source_folder(settings: DataSettings) -> Path:
    """The folder with the scans; phantoms are written on first use.

    Raises:
        DataError: the folder does not exist.
    """
    if settings.source == "phantom":
        patients = settings.phantom_patients
        return run_stage(
            "phantoms",
            _PHANTOM_VERSION,
            {"patients": patients, "seed": PHANTOM_SEED},
            {},
            lambda folder: write_cardiac_phantoms(folder, patients, PHANTOM_SEED),
        ).path
    folder = Path(settings.source).expanduser()
    if not folder.is_dir():
        raise DataError(f"data.source {settings.source!r} is no folder; give the folder that holds the scans")
    return folder


def find_cases(folder: Path) -> list[Case]:
    """All annotated volumes below a folder, in raw ACDC layout or as SSL4MIS-style h5, sorted by patient and phase.

    Raises:
        DataError: nothing is recognised, or both formats lie in the folder, so that patients could count twice.
    """
    raw, h5 = list(find_raw_cases(folder)), list(find_h5_cases(folder))
    if raw and h5:
        raise DataError(f"{folder.name} holds raw ACDC folders and h5 volumes; point data.source at one of them")
    if not raw and not h5:
        raise DataError(
            f"{folder.name} holds neither patientXXX folders with Info.cfg (raw ACDC) nor patientXXX_frameYY.h5 volumes"
        )
    return raw or h5


def read_volume(case: Case) -> Volume:
    """Read a case with the reader of its format."""
    return read_h5_volume(case) if case.image_path.suffix == ".h5" else read_raw_volume(case)
