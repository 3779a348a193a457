"""ACDC as its authors distribute it: one folder per patient with Info.cfg and NIfTI files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from dainet.data.formats.orientation import clear_largest
from dainet.data.formats.pairs import read_pair
from dainet.data.volume import Case, DataError, Volume
from dainet.errors import why_unreadable

__all__ = ["find_acdc_cases", "read_acdc_volume", "read_info"]

_PATIENT = re.compile(r"patient\d{3}$")


def find_acdc_cases(files: Sequence[Path]) -> Iterator[Case | DataError]:
    """Find the ED and ES volumes in folders `patientXXX`, in training/ and testing/ alike; the 4-D film is ignored.

    Frame numbers come from Info.cfg: end-diastole need not be frame 1 (patient090: 4; docs/protocol.md#2.5).

    Yields:
        Cases; errors for an absent or incomplete Info.cfg and for missing frames.
    """
    folders: dict[Path, set[str]] = defaultdict(set)
    for path in files:
        if _PATIENT.match(path.parent.name) and (path.name == "Info.cfg" or ".nii" in path.name):
            folders[path.parent].add(path.name)
    for folder, names in sorted(folders.items()):
        try:
            info = read_info(folder / "Info.cfg")
        except DataError as error:
            yield error
            continue
        for phase in ("ED", "ES"):
            yield _find_frame(folder, names, info, phase)


def read_info(path: Path) -> dict[str, str]:
    """Read the `key: value` lines of Info.cfg.

    Raises:
        DataError: the file is absent or not text, or ED or ES is not a frame number.
    """
    patient = path.parent.name
    try:
        pairs = (line.partition(":") for line in path.read_text(encoding="utf-8-sig").splitlines() if ":" in line)
        info = {key.strip(): value.strip() for key, _, value in pairs}
    except FileNotFoundError as error:
        why = "it says which frame is ED and which is ES; fetch it again"
        raise DataError(f"{patient}: Info.cfg is missing; {why}", patient) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{patient}: Info.cfg cannot be read {why_unreadable(error, path)}", patient) from error
    for phase in ("ED", "ES"):
        if not re.fullmatch(r"[0-9]{1,4}", info.get(phase, "")):
            found = (
                f"Info.cfg gives {phase} = {info[phase][:40]!r}" if phase in info else f"Info.cfg does not name {phase}"
            )
            raise DataError(f"{patient}: {found}; expected a frame number; fetch it again", patient)
    return info


def read_acdc_volume(case: Case) -> Volume:
    """Read one volume; NIfTI's (x, y, z) becomes [D, H, W] with rows = y, without any flip (docs/protocol.md#1.2).

    Raises:
        DataError: see `read_pair`; or voxels are clearly longest along x or y, so slices do not lie along z.
    """
    volume = read_pair(case)
    edges = volume.spacing_mm or ()
    if clear_largest(edges) in (1, 2):
        z, y, x = (f"{edge:.4g}" for edge in edges)
        raise DataError(
            f"{case}: voxels of {x} x {y} x {z} mm along x, y, z; ACDC's slices lie along z, expected the longest edge "
            "there; exchange the axes of the files, or give them in nnU-Net's layout, whose axes may have any order"
        )
    return volume


def _find_frame(folder: Path, names: set[str], info: dict[str, str], phase: str) -> Case | DataError:
    patient, ending = folder.name, ".nii.gz"
    frame = f"{patient}_frame{int(info[phase]):02d}"
    if f"{frame}.nii.gz" not in names and f"{frame}.nii" in names:
        ending = ".nii"
    if f"{frame}{ending}" not in names:
        why = f"although Info.cfg says {phase} = {info[phase]}"
        return DataError(f"{patient} {phase}: {frame}.nii.gz is missing, {why}; fetch it again", patient)
    if f"{frame}_gt{ending}" not in names:
        return DataError(
            f"{patient} {phase}: {frame}_gt{ending} is missing next to {frame}{ending}; fetch it again", patient
        )
    return Case(patient, phase, (folder / f"{frame}{ending}", folder / f"{frame}_gt{ending}"), info.get("Group", ""))
