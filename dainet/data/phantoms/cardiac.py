"""A cardiac cine-MR phantom data set in the raw folder layout of ACDC, drawn from a seed.

It contains no real data. Each patient depends only on (seed, number); `cardiac_anatomy` holds the shapes,
`cardiac_image` and `cardiac_scanner` the gray levels.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dainet.data.formats.nifti import packed_nifti
from dainet.data.phantoms.cardiac_anatomy import (
    GROUPS,
    Contours,
    Heart,
    Table,
    cut_heart,
    label_plane,
    random_ripple,
    sample_heart,
)
from dainet.data.phantoms.cardiac_image import (
    Scene,
    draw_chest,
    draw_heart,
    sample_scene,
    texture,
)
from dainet.data.phantoms.cardiac_scanner import Scanner, acquire, sample_scanner
from dainet.errors import InputError

__all__ = ["CardiacPatient", "make_cardiac_patient", "write_cardiac_phantoms"]

SLICES = (6, 10)  # as in most ACDC stacks
SUBPLANES = (-1 / 3, 0.0, 1 / 3)  # of the slice spacing: planes averaged into one thick slice
SWAPPED_EVERY = 15  # every 15th patient has its end-systolic frame first, so that whoever skips Info.cfg is found out
BREATH_MM = 1.6  # mm; standard deviation of the shift between slices, each taken in its own breath-hold
OBSERVER_MM = 0.6  # mm; standard deviation of the drawn contour around the true one, in the plane
OBSERVER_DEPTH = 0.15  # of the slice spacing; the same along the axis: which plane the observer takes as the base
FULL_SCALE = (250.0, 900.0)  # scanner units of gray level 1


@dataclass(frozen=True)
class CardiacPatient:
    """One phantom patient; images are float32 [D, H, W] in scanner units, labels uint8 [D, H, W], base first."""

    patient_id: str
    group: str
    ed_frame: int  # 1-based, as in Info.cfg
    es_frame: int
    frames: int
    height_cm: float
    weight_kg: float
    spacing_mm: tuple[float, float, float]  # z, y, x
    phases: dict[str, tuple[NDArray[np.float32], NDArray[np.uint8]]]  # "ED" and "ES": image, label


@dataclass(frozen=True)
class _Grid:
    """Sampling of one stack: voxel size, and where heart and slices lie."""

    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    depths_mm: Table  # [D] of the slice centers
    shifts_mm: Table  # [D, 2] of the heart in each slice, x and y
    x_mm: Table  # [H, W] body coordinates
    y_mm: Table
    turn_rad: float  # of the heart against the body


def make_cardiac_patient(number: int, seed: int = 0) -> CardiacPatient:
    """Draw one patient; groups cycle through NOR, DCM, HCM, MINF, RV with the number.

    Args:
        number: 1 or more; determines id and group.
        seed: of the data set, 0 or more.

    Raises:
        InputError: the number is below 1 or the seed is negative.
    """
    if number < 1 or seed < 0:
        raise InputError(f"got number {number} and seed {seed}; patients are numbered from 1, seeds from 0")
    rng = np.random.default_rng([seed, number])
    group = GROUPS[(number - 1) % len(GROUPS)]
    heart, scene, scanner = sample_heart(group, rng), sample_scene(rng), sample_scanner(rng)
    grid = _sample_grid(heart, rng)
    scale = float(rng.uniform(*FULL_SCALE))
    ed_frame, es_frame = (11, 4) if number % SWAPPED_EVERY == 0 else (1, int(rng.integers(8, 15)))
    return CardiacPatient(
        patient_id=f"patient{number:03d}",
        group=group,
        ed_frame=ed_frame,
        es_frame=es_frame,
        frames=int(rng.integers(20, 36)),
        height_cm=round(float(rng.normal(171, 9)), 1),
        weight_kg=round(float(rng.normal(77, 13)), 1),
        spacing_mm=grid.spacing_mm,
        phases=_draw_phases(heart, scene, scanner, grid, scale, rng),
    )


def _sample_grid(heart: Heart, rng: np.random.Generator) -> _Grid:
    """Draw voxel size, matrix, pose, and as many slices as reach from the base to just beyond the apex."""
    in_plane = round(float(rng.uniform(1.37, 1.68)), 4)
    thick = round(float(rng.uniform(8, 10)), 2)
    first = -float(rng.uniform(-0.3, 0.9)) * thick
    slices = int(np.clip(np.ceil((heart.length_mm + 4 - first) / thick), *SLICES))
    height, width = (int(2 * rng.integers(low, high)) for low, high in ((80, 101), (75, 96)))
    rows = (np.arange(height, dtype=np.float32) - height * rng.uniform(0.44, 0.54)) * in_plane
    columns = (np.arange(width, dtype=np.float32) - width * rng.uniform(0.42, 0.54)) * in_plane
    turn = float(rng.normal(0, 0.2))
    x, y = np.meshgrid(columns, rows)
    drift = np.outer(np.linspace(-0.5, 0.5, slices), rng.normal((10, 0), 4))  # the axis leans against the planes
    return _Grid(
        spacing_mm=(thick, in_plane, in_plane),
        shape=(slices, height, width),
        depths_mm=(first + thick * np.arange(slices)).astype(np.float32),
        shifts_mm=(drift + rng.normal(0, BREATH_MM, (slices, 2))).astype(np.float32),
        x_mm=(np.cos(turn) * x + np.sin(turn) * y).astype(np.float32),
        y_mm=(np.cos(turn) * y - np.sin(turn) * x).astype(np.float32),
        turn_rad=float(rng.normal(0.1, 0.22)),
    )


def _draw_phases(
    heart: Heart, scene: Scene, scanner: Scanner, grid: _Grid, scale: float, rng: np.random.Generator
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Draw the chest once, then the heart into it at end-diastole and end-systole; `scale` is gray level 1."""
    rough = texture(rng, grid.shape, (0.5, 6, 6))
    fine = texture(rng, grid.shape, (0.3, 1.3, 1.3))
    levels = np.clip(grid.depths_mm / heart.length_mm, 0, 1)
    chest = [
        draw_chest(scene, grid.x_mm, grid.y_mm, float(u), r, f) for u, r, f in zip(levels, rough, fine, strict=True)
    ]
    phases = {}
    for name, systole in (("ED", 0.0), ("ES", 1.0)):
        flow = texture(rng, grid.shape, (0, 4, 4))
        planes = [
            _draw_slice(heart, scene, grid, d, systole, chest[d], (flow[d], fine[d]), rng) for d in range(grid.shape[0])
        ]
        image = acquire(np.stack([image for image, _ in planes]), scanner, grid.x_mm, grid.y_mm, rng)
        phases[name] = (np.rint(image * scale).astype(np.float32), np.stack([label for _, label in planes]))
    return phases


def _draw_slice(
    heart: Heart,
    scene: Scene,
    grid: _Grid,
    index: int,
    systole: float,
    chest: Table,
    textures: tuple[Table, Table],
    rng: np.random.Generator,
) -> tuple[Table, NDArray[np.uint8]]:
    """Average the planes of one thick slice [H, W] and label its center plane as an observer would."""
    x, y = grid.x_mm - grid.shifts_mm[index, 0], grid.y_mm - grid.shifts_mm[index, 1]
    turn = grid.turn_rad
    x, y = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    depth, thick = float(grid.depths_mm[index]), grid.spacing_mm[0]
    cuts = [cut_heart(heart, depth + part * thick, systole) for part in SUBPLANES]
    image = np.mean([draw_heart(chest, scene, cut, x, y, systole, *textures) for cut in cuts], axis=0)
    seen = cut_heart(heart, depth + rng.normal(0, OBSERVER_DEPTH) * thick, systole)
    return image, label_plane(_hand_drawn(seen, rng), x, y)


def _hand_drawn(cut: Contours, rng: np.random.Generator) -> Contours:
    """Add an observer's error to contours; the wall keeps at least a third of its thickness."""
    endo, epi, rv = (random_ripple(rng, range(6), OBSERVER_MM) for _ in range(3))
    outer = np.maximum(cut.epi + epi * (cut.epi > 0), 0)
    inner = np.minimum(cut.endo + endo, outer - (cut.epi - cut.endo) / 3)
    return replace(
        cut, endo=np.maximum(inner, 0) * (cut.endo > 0), epi=outer, rv=np.maximum(cut.rv + rv, 0) * (cut.rv > 0)
    )


def write_cardiac_phantoms(target: Path, patients: int = 30, seed: int = 0) -> None:
    """Write the data set: `target/training/patient001/` and so on, with Info.cfg, two frames and their labels.

    Each patient appears when it is complete.

    Args:
        target: folder, created if missing.
        patients: 1 or more.
        seed: 0 or more; the same seed gives the same bytes.

    Raises:
        InputError: the number of patients is below 1, or the seed is negative.
        FileExistsError: the folder holds patients, which would mix with the new ones, and may be real.
    """
    if patients < 1 or seed < 0:
        raise InputError(f"got {patients} patients and seed {seed}; ask for at least 1 patient and a seed from 0")
    training = Path(target) / "training"
    training.mkdir(parents=True, exist_ok=True)
    if there := sorted(folder.name for folder in training.glob("patient*")):
        raise FileExistsError(f"{training} already holds {', '.join(there[:3])}; use an empty folder")
    for number in range(1, patients + 1):
        _write_patient(training, make_cardiac_patient(number, seed))


def _write_patient(training: Path, patient: CardiacPatient) -> None:
    """Write one patient into a hidden folder, then rename it."""
    partial, done = training / f".{patient.patient_id}.partial", training / patient.patient_id
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    (partial / "Info.cfg").write_text(_info(patient), encoding="utf-8", newline="\n")
    for phase, frame in (("ED", patient.ed_frame), ("ES", patient.es_frame)):
        image, label = patient.phases[phase]
        stem = f"{patient.patient_id}_frame{frame:02d}"
        (partial / f"{stem}.nii.gz").write_bytes(_nifti(image.astype(np.int16), patient.spacing_mm))
        (partial / f"{stem}_gt.nii.gz").write_bytes(_nifti(label, patient.spacing_mm))
    partial.rename(done)


def _info(patient: CardiacPatient) -> str:
    """Write Info.cfg with ACDC's keys in ACDC's order."""
    return (
        f"ED: {patient.ed_frame}\nES: {patient.es_frame}\nGroup: {patient.group}\n"
        f"Height: {patient.height_cm}\nNbFrame: {patient.frames}\nWeight: {patient.weight_kg}\n"
    )


def _nifti(volume: NDArray[np.generic], spacing_mm: tuple[float, float, float]) -> bytes:
    """Pack a volume [D, H, W] as NIfTI with axes (x, y, z), as ACDC's."""
    return packed_nifti(volume.transpose(2, 1, 0), np.diag([*spacing_mm[::-1], 1.0]))
