"""The prepared copies of ACDC and Synapse that circulate, read without conversion."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dainet.data.volume import Case, DataError, Volume, check_claim
from dainet.errors import why_unreadable

__all__ = [
    "find_mtunet_cases",
    "find_ssl4mis_slices",
    "find_ssl4mis_volumes",
    "find_transunet_cases",
    "read_mtunet_volume",
    "read_ssl4mis_volume",
    "read_transunet_volume",
]

_SSL4MIS_VOLUME = re.compile(r"(patient\d{3})_frame(\d+)\.h5$")
_SSL4MIS_SLICE = re.compile(r"(patient\d{3})_frame(\d+)_slice_(\d{1,4})\.h5$")
_MTUNET = re.compile(r"(case_\d{3})_(?:volume_(E[DS])|slice(E[DS])_(\d{1,4}))\.npz$")
_TRANSUNET = re.compile(r"(case\d{4})(?:\.npy\.h5|_slice(\d{1,4})\.npz)$")
_LOW_HU, _WINDOW_HU = -125.0, 400.0  # TransUNet's window [-125, 275], stored as [0, 1]


def find_ssl4mis_volumes(files: Sequence[Path]) -> Iterator[Case | DataError]:
    """Find `patientXXX_frameYY.h5` volumes; of a patient's two frames the lower one is ED."""
    matches, repeated = _matches(_SSL4MIS_VOLUME, files)
    yield from repeated
    yield from _by_frame({(match[1], int(match[2])): (path,) for match, path in matches})


def find_ssl4mis_slices(files: Sequence[Path]) -> Iterator[Case | DataError]:
    """Find `patientXXX_frameYY_slice_Z.h5` slices and stack them by their numbers."""
    matches, repeated = _matches(_SSL4MIS_SLICE, files)
    yield from repeated
    slices: dict[tuple[str, int], dict[int, Path]] = defaultdict(dict)
    for match, path in matches:
        slices[match[1], int(match[2])][int(match[3])] = path
    yield from _by_frame({key: _in_order(key[0], f"frame {key[1]}", found) for key, found in slices.items()})


def find_mtunet_cases(files: Sequence[Path]) -> Iterator[Case | DataError]:
    """Find MT-UNet's ACDC: `case_001_sliceED_0.npz` (training, validation) and `case_002_volume_ED.npz` (test)."""
    matches, repeated = _matches(_MTUNET, files)
    yield from repeated
    yield from _volumes_or_slices(
        [((_patient(match), match[2] or match[3]), match[4], path) for match, path in matches]
    )


def find_transunet_cases(files: Sequence[Path]) -> Iterator[Case | DataError]:
    """Find TransUNet's Synapse: `case0005_slice000.npz` (training) and `case0001.npy.h5` (test)."""
    matches, repeated = _matches(_TRANSUNET, files)
    yield from repeated
    yield from _volumes_or_slices([((match[1], ""), match[2], path) for match, path in matches])


def read_ssl4mis_volume(case: Case) -> Volume:
    """Read `image` and `label` of a volume or of stacked slices; the format stores no voxel spacing."""
    return _stacked(case, "image")


def read_mtunet_volume(case: Case) -> Volume:
    """Read `img`, found in [-1, 1] by users, and `label`, both at 224 px (docs/protocol.md#2.2); no voxel spacing."""
    return _stacked(case, "img")


def read_transunet_volume(case: Case) -> Volume:
    """Read `image` in [0, 1] back to Hounsfield units, clipped to the window it was stored with (docs/protocol.md#1.2).

    Raises:
        DataError: the values are far outside [0, 1], so they were scaled in another way.
    """
    volume = _stacked(case, "image")
    if not volume.image.size:
        return volume  # `checked` refuses it
    low, high = float(volume.image.min()), float(volume.image.max())
    # Copies that were resized with cubic interpolation overshoot slightly (-0.10 to 1.16 were reported).
    if low < -0.5 or high > 1.5:
        raise DataError(
            f"{case}: gray values from {low:.4g} to {high:.4g}; expected 0 to 1, TransUNet's window of -125 to 275 HU; "
            "this copy was scaled differently"
        )
    return Volume(volume.image.astype(np.float32) * _WINDOW_HU + _LOW_HU, volume.label)


def _matches(
    pattern: re.Pattern[str], files: Sequence[Path]
) -> tuple[list[tuple[re.Match[str], Path]], list[DataError]]:
    """Return the files whose names match, each name once, and an error per patient with one name in two folders."""
    found: dict[str, tuple[re.Match[str], Path]] = {}
    repeated: dict[str, DataError] = {}
    for path in files:
        if not (match := pattern.match(path.name)):
            continue
        first = found.setdefault(path.name, (match, path))[1]
        if first is not path:
            where = f"in {first.parent.name} and in {path.parent.name}; keep one"
            repeated[_patient(match)] = DataError(f"{_patient(match)}: found {path.name} {where}", _patient(match))
    return list(found.values()), list(repeated.values())


def _patient(match: re.Match[str]) -> str:
    """MT-UNet's case_001 is ACDC's patient001 (docs/protocol.md#2.2)."""
    return match[1].replace("case_", "patient")


def _by_frame(frames: Mapping[tuple[str, int], tuple[Path, ...] | DataError]) -> Iterator[Case | DataError]:
    """Assign ED and ES to the two frames of every patient.

    The files carry no Info.cfg. The lower frame is ED in all 100 training patients: there the left ventricle is larger
    (docs/protocol.md#2.5).
    """
    patients: dict[str, list[int]] = defaultdict(list)
    for patient, frame in sorted(frames):
        patients[patient].append(frame)
    for patient, found in patients.items():
        if len(found) != 2:
            names = ", ".join(f"frame{frame:02d}" for frame in found)
            message = (
                f"{patient}: found {len(found)} annotated frame(s) ({names}), expected two, ED and ES; fetch it again"
            )
            yield DataError(message, patient)
            continue
        for phase, frame in zip(("ED", "ES"), sorted(found), strict=True):
            paths = frames[patient, frame]
            yield paths if isinstance(paths, DataError) else Case(patient, phase, paths)


def _volumes_or_slices(found: Sequence[tuple[tuple[str, str], str | None, Path]]) -> Iterator[Case | DataError]:
    """Yield the case of each (patient, phase), from a whole volume (slice number None) or from its slices."""
    slices: dict[tuple[str, str], dict[int, Path]] = defaultdict(dict)
    for (patient, phase), number, path in found:
        if number is None:
            yield Case(patient, phase, (path,))
        else:
            slices[patient, phase][int(number)] = path
    for (patient, phase), numbered in sorted(slices.items()):
        paths = _in_order(patient, phase, numbered)
        yield paths if isinstance(paths, DataError) else Case(patient, phase, paths)


def _in_order(patient: str, volume: str, numbered: Mapping[int, Path]) -> tuple[Path, ...] | DataError:
    """Sort slices by number (0, 1, 2 ... or 1, 2, 3 ...), not by name: 10 follows 9."""
    first, last = min(numbered), max(numbered)
    missing = sorted(set(range(min(first, 1), last + 1)) - set(numbered))
    if missing:
        where = f"{patient} {volume}".strip()
        return DataError(f"{where}: slice {missing[0]} is missing, the last one is {last}; fetch them again", patient)
    return tuple(numbered[number] for number in sorted(numbered))


def _stacked(case: Case, image_key: str) -> Volume:
    """Read one file with a volume [D, H, W], or stack one file per slice [H, W]."""
    pairs = [_read_arrays(case, path, image_key) for path in case.files]
    if len(pairs) == 1:
        return Volume(*pairs[0])
    usual, _ = Counter(array.shape for pair in pairs for array in pair).most_common(1)[0]
    for path, (image, label) in zip(case.files, pairs, strict=True):
        if not image.shape == label.shape == usual or len(usual) != 2:
            found = f"{path.name} holds an image {image.shape} and a label {label.shape}"
            raise DataError(
                f"{case.case_id}: {found}; expected [height, width], {usual} as in most slices; fetch it again"
            )
    images, labels = zip(*pairs, strict=True)
    return Volume(np.stack(images), np.stack(labels))


def _read_arrays(case: Case, path: Path, image_key: str) -> tuple[np.ndarray, np.ndarray]:
    keys = (image_key, "label")
    try:
        image, label = (_read_h5 if path.suffix == ".h5" else _read_npz)(path, keys)
        if not {image.dtype.kind, label.dtype.kind} <= set("iufb"):
            raise TypeError(f"they are of type {image.dtype} and {label.dtype}; expected numbers")
    except Exception as error:  # damaged files make libraries raise nearly anything
        why = f"holds no readable {image_key} and label {why_unreadable(error, path)}"
        raise DataError(f"{case.case_id}: {path.name} {why}") from error
    return image, label


def _read_h5(path: Path, keys: Sequence[str]) -> list[np.ndarray]:
    with h5py.File(path, "r") as file:
        for key in keys:
            _check_place(file, key)
            check_claim(path, file[key].nbytes)
        return [np.asarray(file[key][()]) for key in keys]


def _check_place(file: Any, key: str) -> None:
    """Refuse links: HDF5 can take values from any file on the computer, and this file's author must not choose it."""
    links, name = file.id.links, key.encode()
    if not links.exists(name):
        raise ValueError(f"{key} is missing")
    if links.get_info(name).type != h5py.h5l.TYPE_HARD or file[key].is_virtual or file[key].external:
        raise ValueError(f"{key} is a link or lies outside the file; expected the values themselves")


def _read_npz(path: Path, keys: Sequence[str]) -> list[np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        for key in keys:
            check_claim(path, _claimed_bytes(file, key))
        return [file[key] for key in keys]


def _claimed_bytes(file: Any, key: str) -> int:
    """Bytes that the header of an array announces; pickled objects are refused, because reading them runs code."""
    with file.zip.open(f"{key}.npy") as member:
        first = np.lib.format.read_magic(member) == (1, 0)
        read_header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(member)
    if dtype.hasobject:
        raise ValueError(f"{key} holds pickled objects; expected numbers")
    return math.prod(shape) * dtype.itemsize
