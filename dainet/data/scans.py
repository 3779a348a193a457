"""Scans without labels, as users have them, and label maps that lie on them in any viewer."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
import SimpleITK as sitk
from matplotlib.colors import to_rgb
from PIL import Image, ImageOps

from dainet.data.formats.itk import ItkImage, read_dicom_series, read_itk
from dainet.data.formats.nifti import read_nifti
from dainet.data.volume import DataError
from dainet.errors import why_unreadable

__all__ = ["Scan", "is_picture", "label_ending", "nifti_on", "read_picture", "read_scan", "scan_name", "write_labels"]

Kind = Literal["nifti", "nrrd", "metaimage", "dicom", "picture"]
_KINDS: dict[str, Kind] = {
    **dict.fromkeys((".nii.gz", ".nii", ".hdr", ".img"), "nifti"),
    **dict.fromkeys((".nrrd", ".nhdr"), "nrrd"),
    **dict.fromkeys((".mha", ".mhd"), "metaimage"),
    **dict.fromkeys((".png", ".jpg", ".jpeg"), "picture"),
}
_LABEL_ENDINGS: dict[Kind, str] = {
    "nifti": ".nii.gz",
    "nrrd": ".nrrd",
    "metaimage": ".mha",
    "dicom": ".nii.gz",
    "picture": ".png",
}


@dataclass(frozen=True)
class Scan:
    """One volume, or one picture, in the order in which its file stores it.

    `voxels` is [X, Y, Z] of any number type, of a picture [columns, rows, 1]; `affine` takes indices (x, y, z) to mm in
    RAS and `edges_mm` are the edges (x, y, z) of a voxel, both None for a picture. `modality` is DICOM's ("CT", "MR"),
    empty where the file does not say. `header` is what `write_labels` needs.
    """

    name: str
    voxels: np.ndarray
    affine: np.ndarray | None
    edges_mm: tuple[float, float, float] | None
    modality: str
    kind: Kind
    header: Any


def read_scan(path: Path) -> Scan:
    """Read a scan: NIfTI, NRRD, MetaImage, PNG, JPEG, or a folder with a DICOM series.

    Args:
        path: of several series in one folder, "FOLDER#2" is the second one.

    Raises:
        DataError: nothing is there, or cannot be read; not one volume or picture of one channel; values are constant,
            NaN or infinite.
    """
    folder, series = _folder(path)
    if folder is not None:
        scan = _from_itk(path, "dicom", read_dicom_series(folder, series))
    elif not os.path.isfile(path):
        raise DataError(f"{path} is not a file or folder; check the path")
    else:
        scan = _read_file(path)
    _check_values(path, scan.voxels)
    return scan


def is_picture(path: Path) -> bool:
    """Tell whether a file has the ending of a picture."""
    return _KINDS.get(path.suffix.lower()) == "picture"


def read_picture(path: Path) -> np.ndarray:
    """Read a picture as [H, W] if it is gray, also where three equal channels store it, or else as [H, W, 3].

    Raises:
        DataError: it cannot be read, is a film, or has the same value everywhere.
    """
    try:
        with Image.open(path) as picture:
            frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)  # a photograph with a preview
            shown = ImageOps.exif_transpose(picture)  # as viewers turn it
            pixels = np.asarray(shown.convert("RGB") if shown.mode in ("P", "PA", "1", "CMYK", "YCbCr") else shown)
    except Exception as error:  # damaged files make libraries raise nearly anything
        raise DataError(f"{path.name} cannot be read as a picture {why_unreadable(error, path)}") from error
    if frames > 1:
        raise DataError(f"{path.name} is a film of {frames} pictures; give one frame")
    if pixels.ndim == 3:
        pixels = pixels[..., : 3 if pixels.shape[2] >= 3 else 1]  # without opacity
    if (pixels == pixels[0, 0]).all():
        raise DataError(f"{path.name}: every pixel is {pixels[0, 0]}, so the picture is empty; export it again")
    return pixels[..., 0] if pixels.ndim == 3 and (pixels == pixels[..., :1]).all() else pixels


def scan_name(path: Path) -> str:
    """Return the name of a scan that `read_scan` reads: that of its file without ending, or of its folder."""
    folder, series = _folder(path)
    if folder is not None:
        return folder.resolve().name + (f"_{series}" if series else "")
    return path.name[: -len(ending)] if (ending := _ending(path)) else path.name


def label_ending(scan: Scan) -> str:
    """Return the ending of the file that `write_labels` writes for a scan, such as ".nii.gz"."""
    return _LABEL_ENDINGS[scan.kind]


def nifti_on(scan: Scan, values: np.ndarray) -> Any:
    """Return values on the grid of a scan as a NIfTI image of their own number type.

    Codes, units and affine are those of the scan's header, if it is NIfTI; scaling, display range and notes are not.

    Args:
        scan: of any kind but a picture.
        values: [X, Y, Z] or [X, Y, Z, n].
    """
    header = scan.header if scan.kind == "nifti" else None
    make = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    image = make(values, scan.affine, header, dtype=values.dtype.type)
    image.header.set_data_dtype(values.dtype)
    image.header.set_slope_inter(1, 0)
    image.header["cal_min"] = image.header["cal_max"] = 0
    image.header.extensions.clear()  # they describe the gray image, and may name the patient
    if header is None:
        image.header.set_xyzt_units("mm")
        image.set_sform(scan.affine, code=1)
        image.set_qform(scan.affine, code=1)
    return image


def write_labels(scan: Scan, labels: np.ndarray, path: Path, colors: Sequence[str]) -> None:
    """Write a label map with the grid and the header of its scan, for viewers that show one over the other.

    Args:
        scan: gives orientation, spacing and origin. Of a DICOM series the label map is NIfTI.
        labels: uint8 with the shape of `scan.voxels`, 0 = background.
        path: ends as `label_ending` says.
        colors: of the labels 1, 2, 3 ..., for the palette of a picture.

    Raises:
        ValueError: the shapes differ.
    """
    if labels.shape != scan.voxels.shape:
        raise ValueError(f"labels {labels.shape} for a scan {scan.voxels.shape}; expected equal shapes")
    labels = labels.astype(np.uint8, copy=False)
    if scan.kind in ("nifti", "dicom"):
        nifti_on(scan, labels).to_filename(path)
    elif scan.kind == "picture":
        path.write_bytes(_picture_labels(labels, colors))
    else:
        image = sitk.GetImageFromArray(labels.T)
        spacing, origin, direction = scan.header
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        image.SetDirection(direction)
        sitk.WriteImage(image, str(path), useCompression=True)


def _folder(path: Path) -> tuple[Path | None, int | None]:
    """Return the folder of a DICOM series and the number of the series, if one is given; (None, None) for a file."""
    if os.path.isdir(path):  # which takes any name
        return path, None
    found = re.fullmatch(r"(.+)#(\d+)", path.name)
    if found and os.path.isdir(path.with_name(found[1])):
        return path.with_name(found[1]), int(found[2])
    return None, None


def _ending(path: Path) -> str:
    return next((ending for ending in _KINDS if path.name.lower().endswith(ending)), "")


def _read_file(path: Path) -> Scan:
    ending = _ending(path)
    if not ending:
        raise DataError(
            f"{path.name} has an unknown ending; expected {', '.join(_KINDS)}, or a folder with a DICOM series"
        )
    kind = _KINDS[ending]
    if kind == "picture":
        return Scan(scan_name(path), _picture(path), None, None, "", kind, None)
    if kind != "nifti":
        return _from_itk(path, kind, read_itk(path))
    image, voxels = read_nifti(path.with_suffix(".img") if ending == ".hdr" else path)
    x, y, z = (float(edge) for edge in image.header.get_zooms()[:3])
    return Scan(scan_name(path), voxels, image.affine, (x, y, z), "", kind, image.header)


def _from_itk(path: Path, kind: Kind, image: ItkImage) -> Scan:
    grid = image.grid
    return Scan(scan_name(path), image.voxels, grid.affine, grid.edges_mm, image.modality, kind, grid.header)


def _picture(path: Path) -> np.ndarray:
    """Read a gray picture, also one that stores gray as three equal channels, as [columns, rows, 1]."""
    pixels = read_picture(path)
    if pixels.ndim == 3:
        raise DataError(f"{path.name} is a picture in color; expected one channel; export the slice in gray")
    return pixels.T[..., None]


def _check_values(path: Path, voxels: np.ndarray) -> None:
    if voxels.dtype.kind not in "iufb":
        raise DataError(f"{path.name} has voxels of type {voxels.dtype}; expected one number each; give one channel")
    if not voxels.size or not np.isfinite(voxels).all():
        raise DataError(f"{path.name}: found NaN or infinite gray values; repair the file")
    if voxels.min() == voxels.max():
        raise DataError(f"{path.name}: every voxel is {voxels.min():g}, so the image is empty; fetch it again")


def _picture_labels(labels: np.ndarray, colors: Sequence[str]) -> bytes:
    palette = [0, 0, 0, *(round(255 * part) for color in colors for part in to_rgb(color))]
    picture = Image.fromarray(np.ascontiguousarray(labels[:, :, 0].T), mode="P")
    picture.putpalette(palette)
    buffer = io.BytesIO()
    picture.save(buffer, format="png")
    return buffer.getvalue()
