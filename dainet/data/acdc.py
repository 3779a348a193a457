"""ACDC as its authors distribute it: one folder per patient with Info.cfg and NIfTI files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np

from dainet.data.volume import Case, DataError, Volume, checked_volume
from dainet.protocol import CLASSES

__all__ = ["find_raw_cases", "read_info", "read_raw_volume"]


def find_raw_cases(source: Path) -> Iterator[Case]:
    """Find the ED and ES volumes of every folder `patientXXX` below `source` (training/, testing/, or itself).

    Frame numbers come from Info.cfg: end-diastole is not always the first frame (patient090; PROTOCOL 2.5).

    Raises:
        DataError: Info.cfg is absent or incomplete, or a frame it names is missing.
    """
    folders = {path.name: path for path in source.glob("**/patient[0-9][0-9][0-9]") if path.is_dir()}
    for patient, folder in sorted(folders.items()):
        info = read_info(folder / "Info.cfg")
        for phase in ("ED", "ES"):
            image_path = _frame(folder, patient, info, phase)
            label_path = image_path.with_name(image_path.name.replace(".nii", "_gt.nii"))
            if not label_path.is_file():
                raise DataError(f"{patient} {phase}: {label_path.name} is missing beside {image_path.name}")
            yield Case(patient, phase, image_path, label_path, info.get("Group", ""))


def read_info(path: Path) -> dict[str, str]:
    """Read the `key: value` lines of Info.cfg.

    Raises:
        DataError: the file is absent, or ED or ES is not a frame number.
    """
    if not path.is_file():
        raise DataError(f"{path.parent.name}: Info.cfg is missing; it tells which frame is ED and which ES")
    pairs = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines() if ":" in line)
    info = {key.strip(): value.strip() for key, _, value in pairs}
    for phase in ("ED", "ES"):
        if not info.get(phase, "").isdigit():
            raise DataError(
                f"{path.parent.name}: Info.cfg gives {phase} = {info.get(phase)!r}, expected a frame number"
            )
    return info


def read_raw_volume(case: Case) -> Volume:
    """Read one volume; NIfTI's (x, y, z) becomes [D, H, W] with rows = y, without any flip (PROTOCOL 1.2).

    Raises:
        DataError: see `checked_volume`; also when a file cannot be read as NIfTI.
    """
    image, spacing_mm = _read_nifti(case, case.image_path)
    label, _ = _read_nifti(case, case.label_path)
    return checked_volume(case, image, label, spacing_mm, len(CLASSES["acdc"]))


def _frame(folder: Path, patient: str, info: dict[str, str], phase: str) -> Path:
    stem = f"{patient}_frame{int(info[phase]):02d}.nii"
    for path in (folder / f"{stem}.gz", folder / stem):
        if path.is_file():
            return path
    raise DataError(f"{patient} {phase}: {stem}.gz is missing, although Info.cfg says {phase} is frame {info[phase]}")


def _read_nifti(case: Case, path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    try:
        nifti = nibabel.load(path)
        array = np.asanyarray(nifti.dataobj)  # type: ignore[attr-defined]
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError) as error:
        raise DataError(f"{case.case_id}: {path.name} cannot be read as NIfTI ({error}); fetch it again") from error
    zooms = nifti.header.get_zooms()  # type: ignore[attr-defined]
    return array.T, (float(zooms[2]), float(zooms[1]), float(zooms[0])) if array.ndim == 3 else (0.0, 0.0, 0.0)
