"""An abdominal CT phantom data set in the raw folder layout of BTCV (Synapse), drawn from a seed.

It contains no real data. Each patient depends only on (seed, number); `abdomen_atlas` holds the organs and tissues,
`abdomen_anatomy` the shapes, `abdomen_image` the gray levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dainet.data.formats.nifti import packed_nifti
from dainet.data.phantoms.abdomen_anatomy import Abdomen, sample_abdomen
from dainet.data.phantoms.abdomen_atlas import TISSUES
from dainet.data.phantoms.abdomen_image import Scan, acquire, draw_slice
from dainet.errors import InputError

__all__ = ["ABDOMEN_NUMBERS", "AbdomenPatient", "make_abdomen", "write_abdomen_phantoms"]

ABDOMEN_NUMBERS: tuple[int, ...] = (*range(1, 11), *range(21, 41))  # BTCV's labeled cases
NO_GALLBLADDER = (3, 25)  # removed, as in many real patients
FULL_SIZE = 512  # px; rows and columns of a clinical slice
THICKEST_MM = 20.0  # so that small images still show an organ on several slices
NOISE_HU = (9.0, 14.0)


@dataclass(frozen=True)
class AbdomenPatient:
    """One phantom patient; slice 0 is the lowest, row 0 the belly, column 0 the patient's right."""

    number: int
    image: NDArray[np.int16]  # [D, H, W] in HU
    label: NDArray[np.uint8]  # [D, H, W], BTCV's 13 labels
    spacing_mm: tuple[float, float, float]  # z, y, x


def make_abdomen(number: int, seed: int = 0, size: int = 128) -> AbdomenPatient:
    """Draw one patient.

    Args:
        number: one of ABDOMEN_NUMBERS.
        seed: of the data set, 0 or more.
        size: rows and columns in pixels, 32 or more. At 512, 85 to 120 slices lie 2.5 to 4.1 mm apart; smaller
            sizes show the same body with fewer, thicker slices.

    Raises:
        InputError: the number is not one of BTCV's, the seed is negative, or the size is below 32.
    """
    if number not in ABDOMEN_NUMBERS or seed < 0 or size < 32:
        raise InputError(
            f"got number {number}, seed {seed} and size {size}; "
            "patients are numbered 1 to 10 and 21 to 40, seeds start at 0, sizes at 32 px"
        )
    rng = np.random.default_rng([seed, number])
    abdomen = sample_abdomen(rng, gallbladder=number not in NO_GALLBLADDER)
    scan = _sample_scan(abdomen, size, rng)
    drawn = [draw_slice(abdomen, scan, float(level)) for level in scan.levels_mm]
    image = np.stack([image for image, _ in drawn])
    label = np.stack([label for _, label in drawn])
    return AbdomenPatient(number, acquire(image, scan, rng), label, scan.spacing_mm)


def _sample_scan(abdomen: Abdomen, size: int, rng: np.random.Generator) -> Scan:
    """Draw field of view, slice spacing and contrast; the image shows the whole trunk."""
    around = abdomen.wall_mm + abdomen.fat_mm
    view = float(np.clip(2 * (abdomen.cavity_mm[0] + around) * rng.uniform(1.09, 1.17), 300, 420))
    extent, slices = float(rng.uniform(300, 350)), int(rng.integers(85, 121))
    # slices thicken a little less than pixels do, or the adrenals would vanish between slices
    thick = round(min(extent / slices * max(FULL_SIZE / size, 1) ** 0.9, THICKEST_MM), 2)
    top = abdomen.dome_mm + float(rng.uniform(5, 30))
    levels = top - thick * np.arange(round(extent / thick))[::-1]
    pixel = round(view / size, 4)
    centers = (np.arange(size) - (size - 1) / 2) * pixel
    spread = np.clip(rng.normal(size=len(TISSUES)), -2, 2)
    tissues = {
        name: (mean + deviation * float(z), grain)
        for z, (name, (mean, deviation, grain)) in zip(spread, TISSUES.items(), strict=True)
    }
    shift = rng.uniform(-4, 4, 2)
    return Scan(
        levels.astype(np.float32),
        (centers + shift[0]).astype(np.float32),
        (centers + shift[1]).astype(np.float32),
        (thick, pixel, pixel),
        tissues,
        float(rng.uniform(*NOISE_HU)),
    )


def write_abdomen_phantoms(target: Path, patients: int = 30, seed: int = 0, size: int = 128) -> None:
    """Write the data set: `target/img/img0001.nii.gz` and `target/label/label0001.nii.gz` and so on.

    The axes on disk are L, A, S, not those of the display, because real files have to be turned too. Each file appears
    when it is complete, and replaces an older one of the same number.

    Args:
        target: folder, created if missing.
        patients: 1 to 30; the first ones of ABDOMEN_NUMBERS.
        seed: 0 or more; the same seed gives the same bytes.
        size: rows and columns in pixels, 32 or more.

    Raises:
        InputError: the number of patients is not 1 to 30, the seed is negative, or the size is below 32.
        FileExistsError: the folder holds patients, which would mix with the new ones, and may be real.
    """
    if not 1 <= patients <= len(ABDOMEN_NUMBERS) or seed < 0 or size < 32:
        raise InputError(
            f"got {patients} patients, seed {seed} and size {size}; "
            f"ask for 1 to {len(ABDOMEN_NUMBERS)} patients, a seed from 0 and a size from 32 px"
        )
    folders = [Path(target) / kind for kind in ("img", "label")]
    if there := sorted(path.name for folder in folders for path in folder.glob("[il]*.nii*")):
        raise FileExistsError(f"{target} already holds {', '.join(there[:3])}; use an empty folder")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for number in ABDOMEN_NUMBERS[:patients]:
        patient = make_abdomen(number, seed, size)
        _write(folders[0] / f"img{number:04d}.nii.gz", patient.image, patient.spacing_mm)
        _write(folders[1] / f"label{number:04d}.nii.gz", patient.label, patient.spacing_mm)


def _write(path: Path, volume: NDArray[np.generic], spacing_mm: tuple[float, float, float]) -> None:
    """Write a file under a hidden name, then rename it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(_nifti(volume, spacing_mm))
    partial.replace(path)


def _nifti(volume: NDArray[np.generic], spacing_mm: tuple[float, float, float]) -> bytes:
    """Pack a volume [D, H, W] as NIfTI with axes (L, A, S)."""
    z, y, x = spacing_mm
    turned = volume[:, ::-1].transpose(2, 1, 0)
    affine = np.diag([-x, y, z, 1.0])  # NIfTI counts x to the right and y to the front of the patient
    affine[:3, 3] = (x * (turned.shape[0] - 1) / 2, -y * (turned.shape[1] - 1) / 2, 0)
    return packed_nifti(turned, affine)
