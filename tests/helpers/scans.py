"""Scans as users have them: an oblique stack of slices, in every kind of file."""

from __future__ import annotations

import locale
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

__all__ = ["ITK_ENDINGS", "oblique_affine", "save_dicom", "save_itk", "save_nifti_scan", "to_itk"]

ITK_ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")


def oblique_affine(
    edges_mm: Sequence[float] = (1.4, 1.5, 8.0), degrees: Sequence[float] = (20.0, -10.0, 15.0)
) -> np.ndarray:
    """An affine (RAS) whose axes are turned by angles about x, y and z, with an origin of its own."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * np.asarray(edges_mm)
    affine[:3, 3] = (-31.5, 12.25, 40.0)
    return affine


def save_nifti_scan(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    """Write [X, Y, Z] with both codes set to "scanner"."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.to_filename(path)


def to_itk(voxels: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """The image of [X, Y, Z] and an affine in RAS, which ITK keeps in LPS."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def save_itk(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(to_itk(voxels, affine), str(path))


def save_dicom(
    folder: Path,
    voxels: np.ndarray,
    affine: np.ndarray,
    modality: str = "MR",
    uid: str = "1.2.3.1",
    description: str = "",
    first: int = 0,
) -> None:
    """Write [X, Y, Z], whole numbers, as one DICOM file per slice, whose names do not tell their order."""
    folder.mkdir(parents=True, exist_ok=True)
    own = locale.setlocale(locale.LC_ALL)
    image = to_itk(voxels.astype(np.int16), affine)
    columns, rows = np.reshape(image.GetDirection(), (3, 3)).T[:2]
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z in range(image.GetSize()[2]):
        plane = image[:, :, z]
        plane.SetSpacing(image.GetSpacing()[:2])
        volume = sitk.JoinSeries(plane, 0.0, image.GetSpacing()[2])
        place = image.TransformIndexToPhysicalPoint((0, 0, z))
        tags = {
            "0008|0060": modality,
            "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL",
            "0008|103e": description,
            "0020|000d": "1.2.3",
            "0020|000e": uid,
            "0008|0018": f"{uid}.{first + z + 1}",
            "0020|0013": str(first + z + 1),
            "0020|0032": "\\".join(f"{number:.10g}" for number in place),
            "0020|0037": "\\".join(f"{number:.10g}" for number in (*columns, *rows)),
            "0018|0088": f"{image.GetSpacing()[2]:.10g}",
        }
        for key, value in tags.items():
            volume.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{uid.replace('.', '_')}_{(7 * (first + z)) % 101:03d}.dcm"))
        writer.Execute(volume)
    locale.setlocale(locale.LC_ALL, own)  # the writer of DICOM sets another one, in which files are read as ASCII
