"""Shapes of an abdomen: every organ is a union of bead chains, taken from the atlas and varied per patient.

Body coordinates and sizes are those of `abdomen_atlas`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dainet.data.phantoms.abdomen_atlas import ATLAS, FAR_MM, GALLBLADDER, Structure
from dainet.data.phantoms.cardiac_anatomy import Table

__all__ = ["Abdomen", "Organ", "Plane", "cut_abdomen", "organ_distance", "sample_abdomen"]

Window = tuple[slice, slice]  # rows and columns

CAVITY_MM = (130.0, 92.0)  # half width and half depth inside the abdominal wall of the average patient
WARP_MM = 3.0  # standard deviation of the smooth displacement that makes every patient's organs irregular


@dataclass(frozen=True)
class Organ:
    """A structure with the position and size that it has in one patient."""

    traits: Structure
    gas_mm: float
    segments: Table  # [S, 2, 6] pairs of neighboring beads
    low_mm: Table  # [S, 3] corners of a box around each segment with its fat, wherever the warp moves it
    high_mm: Table


@dataclass(frozen=True)
class Waves:
    """A smooth random field: a sum of plane waves, so that any grid and slice spacing samples the same field."""

    vectors: Table  # [K, 3] in rad per mm: x, y, z
    phases: Table  # [K] in rad
    weight: float

    def on_grid(self, x_mm: Table, y_mm: Table, z_mm: float) -> Table:
        """Sample the field [H, W] at columns `x_mm` [W] and rows `y_mm` [H] of one plane."""
        along_x = np.outer(self.vectors[:, 0], x_mm)
        along_y = np.outer(y_mm, self.vectors[:, 1]) + self.vectors[:, 2] * z_mm + self.phases
        # sin(a + b) by the addition theorem: a product of small matrices instead of a sine per pixel
        return self.weight * (np.sin(along_y) @ np.cos(along_x) + np.cos(along_y) @ np.sin(along_x))


@dataclass(frozen=True)
class Abdomen:
    """One sampled patient."""

    organs: tuple[Organ, ...]  # in the order of painting
    cavity_mm: tuple[float, float]  # half width and half depth inside the abdominal wall
    wall_mm: float  # muscle and ribs
    fat_mm: float  # under the skin
    dome_mm: float  # z of the diaphragm's top
    warp: tuple[Waves, ...]  # along x, y, z
    ripple: Waves
    texture: Waves


@dataclass(frozen=True)
class Plane:
    """One axial plane: [H, W] body coordinates of the pixels and the distances that several tissues share."""

    columns_mm: Table  # [W] before the warp
    rows_mm: Table  # [H]
    level_mm: float
    x_mm: Table
    y_mm: Table
    z_mm: Table
    ripple: Table  # unit deviation, some cm wide
    texture: Table  # unit deviation, finer
    wall: Table  # distance to the inside of the abdominal wall in mm, negative inside
    diaphragm: Table  # distance to the diaphragm in mm, negative below


def _random_waves(rng: np.random.Generator, count: int, lengths_mm: tuple[float, float], deviation: float) -> Waves:
    """Draw a field of this standard deviation from waves of random direction."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    vectors = direction * (2 * np.pi / rng.uniform(*lengths_mm, (count, 1)))
    phases = rng.uniform(0, 2 * np.pi, count)
    return Waves(vectors.astype(np.float32), phases.astype(np.float32), float(deviation * np.sqrt(2 / count)))


def sample_abdomen(rng: np.random.Generator, gallbladder: bool = True) -> Abdomen:
    """Draw one patient's shapes; without a gallbladder, fat and liver fill its place."""
    scale = np.clip(rng.normal(1, 0.025, 3), 0.95, 1.05)
    atlas = (*(_loop(rng) for _ in range(32)), *ATLAS)  # loops first: every named organ covers them
    organs = [_vary(structure, scale, rng) for structure in atlas]
    return Abdomen(
        organs=tuple(organ for organ in organs if gallbladder or organ.traits.label != GALLBLADDER),
        cavity_mm=(CAVITY_MM[0] * float(scale[0]), CAVITY_MM[1] * float(scale[1])),
        wall_mm=float(rng.uniform(11, 15)),
        fat_mm=float(rng.uniform(6, 30)),
        dome_mm=float(rng.uniform(92, 102) * scale[2]),
        warp=tuple(_random_waves(rng, 6, (130, 280), WARP_MM) for _ in "xyz"),
        ripple=_random_waves(rng, 16, (18, 55), 1),
        texture=_random_waves(rng, 24, (7, 22), 1),
    )


def _loop(rng: np.random.Generator) -> Structure:
    """Draw one loop of small bowel, somewhere in the lower abdomen."""
    start = rng.uniform((-75, -62, -245), (78, 8, -58))
    turns = start + np.cumsum(rng.normal(0, (18, 12, 12), (4, 3)), axis=0)
    chain = tuple((*np.clip(point, (-85, -66, -265), (85, 14, -50)), rng.uniform(9, 13)) for point in turns)
    content = ("bowel content", "bowel content", "bowel wall", "stool", "oral contrast")[int(rng.integers(5))]
    return Structure(0, ((0, "bowel wall"), (2.5, content)), (chain,), 1.5, -56, 1.2, 3, confined=True)


def _vary(structure: Structure, scale: Table, rng: np.random.Generator) -> Organ:
    """Move and resize a structure; scale [3] is the patient's along x, y, z."""
    shift, size = rng.normal(0, structure.shift_mm, 3), rng.uniform(*structure.size)
    pairs = [
        [(*bead[:3], *np.resize(bead[3:], 3)) for bead in pair]
        for chain in structure.chains
        for pair in (pairwise(chain) if len(chain) > 1 else [(chain[0], chain[0])])
    ]
    beads = np.array(pairs) * np.tile(scale, 2) * np.repeat((1, size), 3) + np.append(shift, np.zeros(3))
    reach = structure.fat_mm + 3 * (WARP_MM + structure.ripple_mm)
    return Organ(
        traits=structure,
        gas_mm=structure.gas_mm + 1.5 * float(shift[1]),
        segments=beads.astype(np.float32),
        low_mm=(beads[..., :3] - beads[..., 3:]).min(axis=1) - reach,
        high_mm=(beads[..., :3] + beads[..., 3:]).max(axis=1) + reach,
    )


def cut_abdomen(abdomen: Abdomen, columns_mm: Table, rows_mm: Table, level_mm: float) -> Plane:
    """Cut the patient at height `level_mm`, on pixels at `columns_mm` [W] and `rows_mm` [H] in body coordinates."""
    grid = (columns_mm, rows_mm, level_mm)
    warp_x, warp_y, warp_z = (waves.on_grid(*grid) for waves in abdomen.warp)
    x, y, z = columns_mm + warp_x, rows_mm[:, None] + warp_y, level_mm + warp_z
    across, deep = np.abs(x / abdomen.cavity_mm[0]), np.abs(y / abdomen.cavity_mm[1])
    # exponent 2.5: between an ellipse and a box, as a trunk is
    reach = (across * across * np.sqrt(across) + deep * deep * np.sqrt(deep) + 1e-6) ** 0.4
    wall = (1 - 1 / reach) * np.hypot(x, y)
    # a dome that is higher on the right, over the liver, and reaches lower at the back
    dome = abdomen.dome_mm - 70 * np.minimum(reach, 1.1) ** 8 - 0.04 * x - 0.15 * y
    diaphragm = 0.6 * (z - dome)  # its slope: a step upwards leads less far away from it
    ripple, texture = abdomen.ripple.on_grid(*grid), abdomen.texture.on_grid(*grid)
    return Plane(columns_mm, rows_mm, level_mm, x, y, z, ripple, texture, wall, diaphragm)


def organ_distance(organ: Organ, plane: Plane) -> tuple[Window, Table] | None:
    """Distance [h, w] in mm to the surface within a window of the plane, negative inside; None if not cut."""
    traits, low, high = organ.traits, organ.low_mm, organ.high_mm
    near = ((low[:, 2] < plane.level_mm) & (plane.level_mm < high[:, 2])).nonzero()[0]
    if not len(near):
        return None
    rows, columns = (
        np.stack([axis.searchsorted(low[near, i]), axis.searchsorted(high[near, i])])
        for i, axis in ((1, plane.rows_mm), (0, plane.columns_mm))
    )
    top, left = rows[0].min(), columns[0].min()
    window = slice(top, rows[1].max()), slice(left, columns[1].max())
    distance = np.full_like(plane.x_mm[window], FAR_MM)
    for index, (row, end_row), (column, end_column) in zip(near, rows.T, columns.T, strict=True):
        new = _segment_distance(organ.segments[index], plane, (slice(row, end_row), slice(column, end_column)))
        part = distance[row - top : end_row - top, column - left : end_column - left]
        part[:] = _join(part, new, traits.blend_mm)
    return window, distance + traits.ripple_mm * plane.ripple[window]


def _join(one: Table, other: Table, blend_mm: float) -> Table:
    """Unite two shapes with a rounded seam."""
    nearer = np.minimum(one, other)
    if blend_mm:
        nearer -= np.maximum(blend_mm - np.abs(one - other), 0) ** 2 / (4 * blend_mm)
    return nearer


def _segment_distance(beads: Table, plane: Plane, window: Window) -> Table:
    """First-order distance to an ellipsoid that moves and grows from one bead to the next; beads are [2, 6]."""
    start, step = beads[0].tolist(), (beads[1] - beads[0]).tolist()
    offsets = plane.x_mm[window] - start[0], plane.y_mm[window] - start[1], plane.z_mm[window] - start[2]
    along = offsets[0] * step[0] + offsets[1] * step[1] + offsets[2] * step[2]
    place = np.minimum(np.maximum(along / max(step[0] ** 2 + step[1] ** 2 + step[2] ** 2, 1e-6), 0), 1)
    level, slope = 0.0, 1e-8
    for i, offset in enumerate(offsets):
        radius = start[3 + i] + place * step[3 + i]
        relative = (offset - place * step[i]) / radius
        level = level + relative * relative
        relative /= radius
        slope = slope + relative * relative
    level = np.sqrt(level)
    return level * (level - 1) / np.sqrt(slope)
