"""Small data sets in every format that the kit reads, written as their authors do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
from scipy.spatial.transform import Rotation

from dainet.data.formats.label_order import label_map
from dainet.data.phantoms.abdomen import make_abdomen
from dainet.data.sources import Source, open_source
from dainet.settings import DataSettings
from tests.helpers.samples import discs


def source(folder: Path, dataset: str = "acdc", **values: object) -> Source:
    """Open a folder as a data set."""
    return open_source(DataSettings(dataset=dataset, source=str(folder), **values))


def case_ids(data: Source) -> list[str]:
    """Return the names of all cases of a data set."""
    return [case.case_id for case in data.cases]


def save_nifti(
    path: Path, array: np.ndarray, spacing: tuple[float, float, float] = (10.0, 1.4, 1.5), axes: str = "RAS"
) -> None:
    """Write [D, H, W] with its spacing (z, y, x); the file's axes x, y, z are those of the array, reversed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signs = [1 if letter in "RAS" else -1 for letter in axes]
    affine = np.diag([*np.multiply(spacing[::-1], signs), 1.0])
    nibabel.Nifti1Image(array.T, affine).to_filename(path)


def short_axis(along: tuple[float, float, float] = (-0.6, 0.5, -0.6), turned: float = 0.0) -> np.ndarray:
    """Affine of voxels of 1.4 x 1.4 x 8 mm whose slices follow each other in this direction (right, front, up).

    The default is that of a heart's short axis. `turned`: degrees by which columns and rows are turned in their plane.
    """
    normal = np.array(along) / np.linalg.norm(along)
    columns = np.cross(normal, (0.3, 0.5, 0.8))
    columns = Rotation.from_rotvec(np.radians(turned) * normal).apply(columns / np.linalg.norm(columns))
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([columns, np.cross(normal, columns), normal]) * (1.4, 1.4, 8.0)
    return affine


def load_nifti(path: Path) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image.from_filename(path)


def acdc_patient(folder: Path, ed: int = 1, es: int = 9, stored: Sequence[int] = (0, 1, 2, 3), seed: int = 0) -> Path:
    """Write one patient of raw ACDC, with the 4-D image that must not be read."""
    folder.mkdir(parents=True)
    (folder / "Info.cfg").write_text(f"ED: {ed}\nES: {es}\nGroup: DCM\nNbFrame: 30\n")
    (folder / f"{folder.name}_4d.nii.gz").write_bytes(b"never opened")
    for frame in (ed, es):
        image, label = discs(seed + frame)
        save_nifti(folder / f"{folder.name}_frame{frame:02d}.nii.gz", image)
        save_nifti(folder / f"{folder.name}_frame{frame:02d}_gt.nii.gz", np.choose(label, stored).astype(np.float32))
    return folder


def ssl4mis_slices(folder: Path, number: int) -> None:
    """A patient in SSL4MIS' slices, numbered from 1."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in (1, 9):
        for i, (image, label) in enumerate(zip(*discs(100 * number + frame, (11, 40, 36)), strict=True), start=1):
            with h5py.File(folder / f"patient{number:03d}_frame{frame:02d}_slice_{i}.h5", "w") as file:
                file["image"], file["label"] = image + i, label


def mtunet(folder: Path) -> None:
    """MT-UNet's ACDC: patient 1 as training slices, 2 (upside down) as test volumes, values in [-1, 1]."""
    for phase, seed in (("ED", 1), ("ES", 9)):
        image, label = discs(seed, (11, 40, 36))
        scaled = 2 * (image - image.min()) / np.ptp(image) - 1
        for i, (plane, classes) in enumerate(zip(scaled, label, strict=True)):
            save_npz(folder / "train" / f"case_001_slice{phase}_{i}.npz", img=plane, label=classes)
        save_npz(folder / "test" / f"case_002_volume_{phase}.npz", img=scaled[::-1], label=label[::-1])


def transunet(folder: Path, order: str = "transunet", numbers: Sequence[int] = (5, 1), size: int = 48) -> None:
    """TransUNet's Synapse: the first case as slices in train_npz, the others as volumes in test_vol_h5."""
    stored_as = {value: stored for stored, value in label_map(order).items() if value}
    table = np.array([stored_as.get(value, 0) for value in range(9)], np.uint8)
    for number in numbers:
        image, label = abdomen(number, size)
        window, stored = (np.clip(image, -125, 275) + 125) / 400, table[label]
        if number == numbers[0]:
            for i, (plane, classes) in enumerate(zip(window, stored, strict=True)):
                save_npz(folder / "train_npz" / f"case{number:04d}_slice{i:03d}.npz", image=plane, label=classes)
        else:
            (folder / "test_vol_h5").mkdir(parents=True, exist_ok=True)
            with h5py.File(folder / "test_vol_h5" / f"case{number:04d}.npy.h5", "w") as file:
                file["image"], file["label"] = window, stored


def nnunet(folder: Path, names: Sequence[str] = ("a", "b", "c"), axes: str = "RAS", **changes: object) -> None:
    """nnU-Net's raw layout with the classes core, ring and rim."""
    content: dict[str, object] = {"channel_names": {"0": "MRI"}, "file_ending": ".nii.gz"}
    content |= {"numTraining": len(names)} if names else {}
    content["labels"] = {"background": 0, "core": 1, "ring": 2, "rim": 3}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content | changes), encoding="utf-8")
    for seed, name in enumerate(names):
        image, label = discs(seed)
        save_nifti(folder / "imagesTr" / f"{name}_0000.nii.gz", image, axes=axes)
        save_nifti(folder / "labelsTr" / f"{name}.nii.gz", label, axes=axes)


def abdomen(number: int, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A phantom's image [D, H, W] in HU and label with the kit's class numbers."""
    patient = make_abdomen(number, size=size)
    table = np.zeros(14, np.uint8)
    for stored, value in label_map("btcv").items():
        table[stored] = value
    return patient.image, table[patient.label]


def save_npz(path: Path, **arrays: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
