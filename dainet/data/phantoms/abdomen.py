"""An abdominal CT phantom data set in the raw folder layout of BTCV (Synapse), drawn from a seed.

It contains no real data. Each patient depends only on (seed, number); `abdomen_atlas` holds the organs and tissues,
`abdomen_anatomy` the shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dainet.data.formats.nifti import packed_nifti
from dainet.data.phantoms.abdomen_anatomy import (
    Abdomen,
    Organ,
    Plane,
    cut_abdomen,
    organ_distance,
    sample_abdomen,
)
from dainet.data.phantoms.abdomen_atlas import TISSUES
from dainet.data.phantoms.cardiac_anatomy import Table
from dainet.errors import InputError

__all__ = ["ABDOMEN_NUMBERS", "AbdomenPatient", "make_abdomen", "write_abdomen_phantoms"]

ABDOMEN_NUMBERS: tuple[int, ...] = (*range(1, 11), *range(21, 41))  # BTCV's labeled cases
NO_GALLBLADDER = (3, 25)  # removed, as in many real patients
FULL_SIZE = 512  # px; rows and columns of a clinical slice
THICKEST_MM = 20.0  # so that small images still show an organ on several slices
SUBPLANE_MM = 5.0  # a slice thicker than this is the mean of three planes
PROFILE = 0.6  # of the slice spacing is covered by one slice; the whole spacing would hide the adrenals at small sizes
NOISE_HU = (9.0, 14.0)
DIAPHRAGM_MM = 1.5  # muscle and fat between an organ and the wall or the lung


@dataclass(frozen=True)
class AbdomenPatient:
    """One phantom patient; slice 0 is the lowest, row 0 the belly, column 0 the patient's right."""

    number: int
    image: NDArray[np.int16]  # [D, H, W] in HU
    label: NDArray[np.uint8]  # [D, H, W], BTCV's 13 labels
    spacing_mm: tuple[float, float, float]  # z, y, x


@dataclass(frozen=True)
class _Scan:
    """Sampling of one volume and the gray levels of its tissues."""

    levels_mm: Table  # [D] slice centers in body coordinates
    rows_mm: Table  # [H]
    columns_mm: Table  # [W]
    spacing_mm: tuple[float, float, float]
    tissues: dict[str, tuple[float, float]]  # HU and texture
    noise_hu: float


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
    drawn = [_draw_slice(abdomen, scan, float(level)) for level in scan.levels_mm]
    image = np.stack([image for image, _ in drawn])
    label = np.stack([label for _, label in drawn])
    return AbdomenPatient(number, _acquire(image, scan, rng), label, scan.spacing_mm)


def _sample_scan(abdomen: Abdomen, size: int, rng: np.random.Generator) -> _Scan:
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
    return _Scan(
        levels.astype(np.float32),
        (centers + shift[0]).astype(np.float32),
        (centers + shift[1]).astype(np.float32),
        (thick, pixel, pixel),
        tissues,
        float(rng.uniform(*NOISE_HU)),
    )


def _draw_slice(abdomen: Abdomen, scan: _Scan, level_mm: float) -> tuple[Table, NDArray[np.uint8]]:
    """Average the planes of one thick slice [H, W]; the label is that of the middle plane."""
    thick = scan.spacing_mm[0]
    count = 1 if thick <= SUBPLANE_MM else 3
    planes = [
        _draw_plane(abdomen, scan, level_mm + PROFILE * thick * ((index + 0.5) / count - 0.5)) for index in range(count)
    ]
    return np.mean([image for image, _ in planes], axis=0), planes[count // 2][1]


def _draw_plane(abdomen: Abdomen, scan: _Scan, level_mm: float) -> tuple[Table, NDArray[np.uint8]]:
    """Draw one plane from the skin inwards: HU and label [H, W]."""
    plane = cut_abdomen(abdomen, scan.columns_mm, scan.rows_mm, level_mm)
    canvas = _draw_trunk(abdomen, scan, plane)
    label = np.zeros(canvas.shape, np.uint8)
    for organ in abdomen.organs:
        _draw_organ(canvas, label, organ, scan, plane)
    return canvas, label


def _gray(scan: _Scan, tissue: str, texture: Table) -> Table:
    mean, grain = scan.tissues[tissue]
    return mean + grain * texture


def _paint(canvas: Table, distance_mm: Table, value: Table, scan: _Scan) -> Table:
    """Cover the canvas where the distance is negative; the edge is as wide as a pixel (partial volume)."""
    return canvas + (value - canvas) * np.minimum(np.maximum(0.5 - distance_mm / scan.spacing_mm[1], 0), 1)


def _draw_trunk(abdomen: Abdomen, scan: _Scan, plane: Plane) -> Table:
    """Draw skin, fat, abdominal wall with ribs, the fat of the cavity, and the lungs: HU [H, W]."""
    wall, texture = plane.wall, plane.texture
    skin = wall - abdomen.wall_mm - abdomen.fat_mm * (1 + 0.3 * plane.y_mm / abdomen.cavity_mm[1])
    # ribs run downwards to the front, so that a plane cuts several of them
    phase = (plane.z_mm + 0.8 * plane.y_mm - 0.5 * np.abs(plane.x_mm)) % 28 - 14
    ribs = np.maximum(np.maximum(np.abs(wall - 6) - 3.5, np.abs(phase) - 5), -20 - plane.z_mm + 0.8 * -plane.y_mm)
    canvas = np.full_like(wall, scan.tissues["air"][0])
    lung = np.maximum(wall, -plane.diaphragm)
    for distance, tissue in (
        (skin - 2, "skin"),
        (skin, "fat"),
        (wall - abdomen.wall_mm * (0.95 + 0.1 * plane.ripple), "muscle"),
        (ribs, "bone"),
        (ribs + 2.5, "marrow"),
        (wall, "fat"),
        (lung, "lung"),
    ):
        canvas = _paint(canvas, distance, _gray(scan, tissue, texture), scan)
    return canvas


def _draw_organ(canvas: Table, label: NDArray[np.uint8], organ: Organ, scan: _Scan, plane: Plane) -> None:
    """Paint one organ and the fat around it over HU and label [H, W], in place."""
    found = organ_distance(organ, plane)
    if found is None:
        return
    (window, distance), traits = found, organ.traits
    texture, part = plane.texture[window], canvas[window]
    fat = distance - traits.fat_mm
    if traits.confined:
        bound = np.maximum(plane.wall[window], plane.diaphragm[window])
        distance, fat = np.maximum(distance, bound + DIAPHRAGM_MM), np.maximum(fat, bound)
    if traits.within:
        distance = np.where(label[window] == traits.within, distance, np.inf)
    if traits.fat_mm:
        part = _paint(part, fat, _gray(scan, "fat", texture), scan)
        label[window][fat < 0] = 0
    for depth, tissue in traits.layers:
        part = _paint(part, distance + depth, _gray(scan, tissue, texture), scan)
    behind = plane.rows_mm[window[0], None] - organ.gas_mm
    if behind.size and behind[0] < 0:
        gas = np.maximum(distance + traits.layers[-1][0], behind)
        part = _paint(part, gas, _gray(scan, "gas", texture), scan)
    canvas[window] = part
    label[window][distance < 0] = traits.label


def _acquire(image: Table, scan: _Scan, rng: np.random.Generator) -> NDArray[np.int16]:
    """Add point spread and correlated noise; returns HU [D, H, W] as a scanner stores them."""
    stored = np.empty(image.shape, np.int16)
    for index, plane in enumerate(image):
        noise = ndimage.gaussian_filter(rng.standard_normal(plane.shape, dtype=np.float32), 0.6)
        noisy = ndimage.gaussian_filter(plane, 0.5) + scan.noise_hu * noise / noise.std()
        stored[index] = np.clip(np.rint(noisy), -1024, 3071)
    return stored


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
        FileExistsError: the folder holds other patients, which would mix with the new ones.
    """
    if not 1 <= patients <= len(ABDOMEN_NUMBERS) or seed < 0 or size < 32:
        raise InputError(
            f"got {patients} patients, seed {seed} and size {size}; "
            f"ask for 1 to {len(ABDOMEN_NUMBERS)} patients, a seed from 0 and a size from 32 px"
        )
    numbers = ABDOMEN_NUMBERS[:patients]
    names = {f"{kind}{number:04d}.nii.gz" for kind in ("img", "label") for number in numbers}
    folders = [Path(target) / kind for kind in ("img", "label")]
    others = sorted(path.name for folder in folders for path in folder.glob("[il]*.nii*") if path.name not in names)
    if others:
        raise FileExistsError(
            f"{target} already holds {', '.join(others[:3])}, not among the {patients} to write; use an empty folder"
        )
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
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
