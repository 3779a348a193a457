"""Scans that SimpleITK reads: NRRD and MetaImage files, and folders with the slices of a DICOM series."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dainet.data.volume import DataError, check_claim, check_name
from dainet.errors import why_unreadable

__all__ = ["ItkGrid", "ItkImage", "itk_grid", "read_dicom_series", "read_itk"]

_DETACHED = (".mhd", ".nhdr")  # headers whose voxels lie in a file of their own
_MODALITY, _DESCRIPTION = "0008|0060", "0008|103e"
_THICKNESS, _DISTANCE = "0018|0050", "0018|0088"  # of a slice; from slice to slice
_ORIENTATION, _POSITION, _FRAMES = "0020|0037", "0020|0032", "0028|0008"
_OFF_MM, _OFF = 0.5, 0.25  # by which a slice may miss its place in an even stack; in distances of slices
_CONVERT = "convert the series with dcm2niix and give the NIfTI file"

sitk.ProcessObject.GlobalWarningDisplayOff()  # what spoils a stack of slices is an error here


@dataclass(frozen=True)
class ItkGrid:
    """Numbers of voxels and their edges in mm along x, y and z, and the affine of their indices in mm (RAS).

    `header` is what ITK stores of the grid: spacing, origin and direction, in LPS.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    edges_mm: tuple[float, float, float]
    header: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class ItkImage:
    """Voxels [X, Y, Z] on their grid; the modality is that of DICOM, empty where the file does not say."""

    voxels: np.ndarray
    grid: ItkGrid
    modality: str = ""


def read_itk(path: Path) -> ItkImage:
    """Read a volume from a .nrrd, .nhdr, .mha or .mhd file.

    Raises:
        DataError: the file cannot be read, or is not a 3-D volume of one channel.
    """
    return _image(_opened(path), path)


def itk_grid(path: Path) -> ItkGrid:
    """Read the grid of such a file from its header alone.

    Raises:
        DataError: see `read_itk`.
    """
    return _grid(_opened(path))


def _opened(path: Path) -> sitk.ImageFileReader:
    """Read the header of a file, and check that its volume is one and can be as large as it claims."""
    check_name(path)
    header = _header(path)
    if path.suffix.lower() not in _DETACHED:
        try:
            check_claim(path, int(np.prod(header.GetSize(), dtype=float)))
        except ValueError as error:
            raise _unreadable(path, error) from error
    _check_shape(path, header)
    return header


def read_dicom_series(folder: Path, number: int | None = None) -> ItkImage:
    """Read the DICOM series of a folder as one volume, its slices in the order of their positions.

    Args:
        folder: with the files of one series, or of several.
        number: which of several, 1 for the first, as the error without a number lists them.

    Raises:
        DataError: no series, or several without a number; a film, missing or tilted slices; a file cannot be read.
    """
    check_name(folder)
    files = _choose(folder, number)
    headers = [_header(path) for path in files]
    _check_shape(files[0], headers[0])
    _check_stack(folder, headers)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in files])
    return _image(reader, folder, _tag(headers[0], _MODALITY), _single_depth(folder, headers))


def _single_depth(folder: Path, headers: list[sitk.ImageFileReader]) -> float:
    """Return the thickness in mm of a single slice without a distance of slices, which ITK takes for 1 mm; else 0."""
    thickness = _tag(headers[0], _THICKNESS)
    if len(headers) > 1 or _tag(headers[0], _DISTANCE) or not thickness:
        return 0
    numbers = _numbers(headers[0], _THICKNESS)
    if not numbers:
        raise DataError(
            f"{folder.name}: the slice thickness {thickness[:40]!r} is not a number; correct it, or {_CONVERT}"
        )
    return max(numbers)


def _choose(folder: Path, number: int | None) -> list[Path]:
    """Return the files of one series, in the order of their positions."""
    series = [
        [Path(name) for name in sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)]
        for uid in sorted(sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)))
    ]
    if not series:
        raise DataError(f"{folder.name} is a folder without DICOM files; give the folder that holds those of a series")
    if number is None and len(series) == 1:
        return series[0]
    if number is None or not 1 <= number <= len(series):
        listed = "; ".join(f"{folder.name}#{i}: {_described(files)}" for i, files in enumerate(series, 1))
        raise DataError(f"{folder.name} holds {len(series)} DICOM series; give one of them ({listed})")
    return series[number - 1]


def _described(files: list[Path]) -> str:
    header = _header(files[0])
    words = [_tag(header, _MODALITY), _tag(header, _DESCRIPTION), f"{len(files)} files"]
    return " ".join(word for word in words if word)


def _header(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        path.open("rb").close()  # whose error says more than ITK's
        reader.ReadImageInformation()
    except (RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    return reader


def _tag(header: sitk.ImageFileReader, key: str) -> str:
    return header.GetMetaData(key).strip().strip("\0") if header.HasMetaDataKey(key) else ""


def _numbers(header: sitk.ImageFileReader, key: str) -> list[float]:
    """Return the numbers of a tag; none where a part of it is not a finite number."""
    try:
        numbers = [float(part) for part in _tag(header, key).split("\\")]
    except ValueError:
        return []
    return numbers if np.isfinite(numbers).all() else []


def _check_shape(path: Path, header: sitk.ImageFileReader) -> None:
    """Refuse several channels, films and flat images by the header alone."""
    if header.GetNumberOfComponents() > 1:
        raise DataError(f"{path.name} has {header.GetNumberOfComponents()} channels; expected one; give one of them")
    size = header.GetSize()
    if set(size[3:]) - {1}:
        raise DataError(
            f"{path.name} has the shape {size}; expected three axes; this looks like the whole film; give one frame"
        )
    if len(size) < 3:
        raise DataError(
            f"{path.name} has the shape {size}; expected three axes; give the volume, or a PNG of the slice"
        )


def _check_stack(folder: Path, headers: list[sitk.ImageFileReader]) -> None:
    """Refuse what is not one even stack of parallel slices, which ITK would take for one."""
    if any((_tag(header, _FRAMES) or "1") != "1" for header in headers):
        raise DataError(f"{folder.name} holds DICOM files of several frames; expected one slice per file; {_CONVERT}")
    turned, placed = ([_numbers(header, key) for header in headers] for key in (_ORIENTATION, _POSITION))
    if {*map(len, turned)} != {6} or {*map(len, placed)} != {3}:
        raise DataError(f"{folder.name}: the DICOM files do not say where their slices lie; {_CONVERT}")
    axes, places = np.array(turned), np.array(placed)
    along = (places - places[0]) @ np.cross(axes[0, :3], axes[0, 3:])  # mm
    if len(np.unique(along.round(3))) < len(along):
        raise DataError(
            f"{folder.name}: several of the {len(along)} DICOM files lie at one place; expected one slice at each; "
            "this looks like the whole film; give a folder with one frame"
        )
    even, gaps = np.linspace(along.min(), along.max(), len(along)), np.diff(np.sort(along))
    aside = places - places[0] - along[:, None] * np.cross(axes[0, :3], axes[0, 3:])
    if np.abs(axes - axes[0]).max() > 1e-3 or np.abs(aside).max() > _OFF_MM:
        raise DataError(f"{folder.name}: its slices are tilted or turned against each other; {_CONVERT}")
    if len(gaps) and np.abs(np.sort(along) - even).max() > min(_OFF_MM, _OFF * np.median(gaps)):
        raise DataError(
            f"{folder.name}: its slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart; expected one distance; "
            "add the missing files"
        )


def _image(
    reader: sitk.ImageFileReader | sitk.ImageSeriesReader, path: Path, modality: str = "", depth_mm: float = 0
) -> ItkImage:
    try:
        image = reader.Execute()
    except (RuntimeError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if depth_mm > 0:
        image.SetSpacing((*image.GetSpacing()[:2], depth_mm))
    grid = _grid(image)
    return ItkImage(sitk.GetArrayFromImage(image).T.reshape(grid.shape), grid, modality)


def _grid(image: sitk.Image | sitk.ImageFileReader) -> ItkGrid:
    size, spacing, origin = (values[:3] for values in (image.GetSize(), image.GetSpacing(), image.GetOrigin()))
    direction = np.reshape(image.GetDirection(), (image.GetDimension(),) * 2)[:3, :3]  # further axes are of length 1
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = direction * spacing, origin
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine  # ITK's x and y axes point to the left and to the back
    edges = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    return ItkGrid(size, affine, edges, (spacing, origin, tuple(direction.ravel())))


def _unreadable(path: Path, error: Exception) -> DataError:
    """Return the error in one line: of what ITK says, the last sentence, without places in its own source."""
    said = re.split(r"ERROR:", str(error))[-1]
    plain = error if isinstance(error, OSError) else ValueError(re.sub(r"\(0x[0-9a-f]+\): ", "", said))
    return DataError(f"{path.name} cannot be read {why_unreadable(plain, path)}")
