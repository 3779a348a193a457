"""Shape of a beating heart in short-axis planes: closed contours as radius tables over the angle, per pathology group.

Heart coordinates are millimeters with the left-ventricular axis at the origin, x to the right and y down as on the
screen, the right ventricle to the left (angle pi), and `depth` from the mitral plane at end-diastole towards the apex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dainet.errors import unknown

__all__ = [
    "ANGLES",
    "GROUPS",
    "Contours",
    "GroupTraits",
    "Heart",
    "Table",
    "angular_bump",
    "at_angle",
    "cut_heart",
    "distance_to",
    "label_plane",
    "random_ripple",
    "sample_heart",
    "soften",
]

Table = NDArray[np.floating]  # one value per entry of ANGLES, or one per pixel

GROUPS = ("NOR", "DCM", "HCM", "MINF", "RV")
ANGLES: Table = np.linspace(-np.pi, np.pi, 720, endpoint=False, dtype=np.float32)  # rad; 0.5 degrees: 0.3 mm at 40 mm

APEX_WALL = 0.75  # wall at the apex over wall at mid level: the apex is the thinnest part
MYOCARDIUM_GROWTH = 1.15  # labeled wall volume at end-systole over end-diastole: trabeculae are compacted into it
RV_LENGTH = 0.9  # right over left ventricular length: the right ventricle ends before the apex
MIN_LABEL_MM = 2.0  # mean radius below which an observer would not draw a structure


@dataclass(frozen=True)
class GroupTraits:
    """Ranges (low, high) from which the heart of one pathology group is drawn."""

    endo_mm: tuple[float, float]  # mid-ventricular cavity radius at end-diastole
    wall_mm: tuple[float, float]  # mean wall thickness at end-diastole
    length_mm: tuple[float, float]  # cavity length, mitral plane to apex, at end-diastole
    ejection: tuple[float, float]  # left ejection fraction (of the healthy wall for MINF)
    rv_reach_mm: tuple[float, float]  # septum to free wall at end-diastole
    rv_span_mm: tuple[float, float]  # half of the anterior-inferior extent
    rv_ejection: tuple[float, float]  # right ejection fraction
    septal_excess: tuple[float, float] = (0.0, 0.15)  # additional thickness of the septum over the mean wall
    septal_flattening: tuple[float, float] = (0.0, 0.04)  # relative inward shift of the septum
    scar: tuple[float, float] = (0.0, 0.0)  # relative loss of thickness in the infarct; 0: no infarct


# Not from a paper: adult sizes that we chose, then tuned by hand until the group means of five voxel-count
# ratios (ES/ED of each label, wall/LV, RV/LV) came near those of ACDC's 100 training patients. No real image is used.
TRAITS = {
    "NOR": GroupTraits((23, 26), (6.2, 7.5), (66, 76), (0.55, 0.66), (33, 39), (32, 37), (0.50, 0.62)),
    "DCM": GroupTraits((31, 36), (6.8, 8.6), (76, 88), (0.08, 0.25), (29, 39), (30, 38), (0.30, 0.55)),
    "HCM": GroupTraits(
        (22.5, 25.5), (8.2, 10.5), (64, 74), (0.60, 0.75), (29, 35), (30, 35), (0.52, 0.68), (0.35, 0.9), (0.0, 0.03)
    ),
    "MINF": GroupTraits(
        (27, 31), (7.0, 8.6), (70, 82), (0.36, 0.47), (27, 34), (30, 36), (0.55, 0.68), scar=(0.35, 0.6)
    ),
    "RV": GroupTraits(
        (22, 25), (6.4, 7.8), (64, 74), (0.48, 0.60), (40, 48), (37, 43), (0.25, 0.42), septal_flattening=(0.12, 0.25)
    ),
}
# (angle in rad, extent from apex to base) of the three coronary territories an infarct may take: LAD, RCA, LCX
TERRITORIES = ((-2.3, 0.9), (1.9, 0.75), (0.3, 0.7))


@dataclass(frozen=True)
class Heart:
    """One sampled heart; tables have one entry per ANGLES."""

    endo_mm: float
    wall_mm: float
    length_mm: float
    contraction: float  # end-systolic over end-diastolic cavity radius where the wall contracts
    shortening: float  # relative loss of length at end-systole: the mitral plane moves to the apex
    outline: Table  # relative radius, 1 for a circular cavity
    thickness: Table  # relative wall thickness, 1 for an even wall
    passive: Table  # 0 where the wall contracts, 1 in the core of the scar
    scar: float
    scar_extent: float
    rv_reach_mm: float
    rv_span_mm: float
    rv_contraction: float
    rv_outline: Table
    rv_twist_rad: float  # turn of the right ventricle around the left one, base minus apex


@dataclass(frozen=True)
class Contours:
    """A heart cut by one plane: radius tables in millimeters around the origin, the RV's around `rv_center_mm`."""

    endo: Table
    epi: Table
    rv: Table
    rv_center_mm: tuple[float, float]
    level: float  # 0 mitral plane, 1 tip of the cavity; negative in the atria


def angular_bump(center_rad: float, half_width_rad: float) -> Table:
    """Smooth window over ANGLES: 1 at the center, 0 beyond the half width."""
    gap = np.abs((ANGLES - center_rad + np.pi) % (2 * np.pi) - np.pi) / half_width_rad
    return np.where(gap < 1, np.cos(np.pi / 2 * gap) ** 2, 0).astype(np.float32)


def random_ripple(rng: np.random.Generator, orders: range, amplitude: float) -> Table:
    """Random closed ripple over ANGLES with zero mean and about this standard deviation, from these Fourier orders."""
    weights = rng.normal(size=len(orders)) / np.sqrt(len(orders)) * amplitude * np.sqrt(2)
    phases = rng.uniform(0, 2 * np.pi, len(orders))
    waves = np.cos(np.outer(np.asarray(orders), ANGLES) + phases[:, None])
    return (weights @ waves).astype(np.float32)


def soften(x: float | Table) -> Table:
    """Clip to [0, 1] and round both corners off (3 x^2 - 2 x^3)."""
    clipped = np.clip(np.asarray(x, dtype=np.float32), 0, 1)
    return clipped * clipped * (3 - 2 * clipped)


def sample_heart(group: str, rng: np.random.Generator) -> Heart:
    """Draw one heart of a pathology group.

    Raises:
        InputError: the group is not one of GROUPS.
    """
    if group not in TRAITS:
        raise unknown("group", group, GROUPS)
    traits = TRAITS[group]
    shortening = float(rng.uniform(0.2, 0.3) * np.mean(traits.ejection))
    rv_shortening = 0.12
    scar = float(rng.uniform(*traits.scar))
    angle, extent = TERRITORIES[rng.integers(len(TERRITORIES))]
    septum = angular_bump(np.pi + rng.uniform(-0.4, 0.2), 1.5)
    flat = angular_bump(np.pi + rng.uniform(-0.2, 0.2), 1.2)
    return Heart(
        endo_mm=float(rng.uniform(*traits.endo_mm)),
        wall_mm=float(rng.uniform(*traits.wall_mm)),
        length_mm=float(rng.uniform(*traits.length_mm)),
        contraction=float(np.sqrt((1 - rng.uniform(*traits.ejection)) / (1 - shortening))),
        shortening=shortening,
        outline=(1 + random_ripple(rng, range(2, 5), 0.025)) * (1 - rng.uniform(*traits.septal_flattening) * flat),
        thickness=1 + random_ripple(rng, range(1, 5), 0.07) + float(rng.uniform(*traits.septal_excess)) * septum,
        passive=np.minimum(1, 1.4 * angular_bump(angle + rng.uniform(-0.3, 0.3), rng.uniform(1.1, 1.5))),
        scar=scar,
        scar_extent=extent,
        rv_reach_mm=float(rng.uniform(*traits.rv_reach_mm)),
        rv_span_mm=float(rng.uniform(*traits.rv_span_mm)),
        rv_contraction=float(np.sqrt((1 - rng.uniform(*traits.rv_ejection)) / (1 - rv_shortening))),
        rv_outline=1 + 0.08 * np.cos(3 * ANGLES + rng.normal(0, 0.5)) + random_ripple(rng, range(2, 7), 0.035),
        rv_twist_rad=float(rng.uniform(0.2, 0.6)),
    )


def cut_heart(heart: Heart, depth_mm: float, systole: float) -> Contours:
    """Cut the heart across its axis.

    Args:
        heart: from `sample_heart`.
        depth_mm: distance from the end-diastolic mitral plane towards the apex.
        systole: 0 at end-diastole, 1 at end-systole.

    Returns:
        Contours; a table is 0 if the plane misses its structure, and all are 0 above the mitral plane.
    """
    mitral_mm = systole * heart.shortening * heart.length_mm
    level = (depth_mm - mitral_mm) / (heart.length_mm - mitral_mm)
    endo, epi = _cut_left(heart, level, systole)
    rv, center_mm = _cut_right(heart, level, systole, epi)
    return Contours(endo, epi, rv, center_mm, level)


def _profile(level: float) -> float:
    """Relative radius along the axis: 0.92 at the mitral plane, widest at a third, 0 at the tip and above the base."""
    if not 0 <= level < 1:
        return 0.0
    return float((1 - level**2.4) ** 0.6 * (1 - 0.08 * (1 - level) ** 4))


def _cut_left(heart: Heart, level: float, systole: float) -> tuple[Table, Table]:
    """Return endo- and epicardial tables; the wall thickens in systole because myocardium keeps its volume."""
    scarred = heart.passive * soften((heart.scar_extent - (1 - level)) / 0.2) if heart.scar else 0 * heart.passive
    wall_mm = heart.wall_mm * heart.thickness * (1 - heart.scar * scarred)
    epi_level = level * heart.length_mm / (heart.length_mm + APEX_WALL * heart.wall_mm)
    endo = _profile(level) * heart.endo_mm * heart.outline
    epi = _profile(epi_level) * (heart.endo_mm * heart.outline + wall_mm)
    squeezed = endo * (1 - systole * (1 - heart.contraction) * (1 - scarred))
    hollow = np.minimum(1, 2 * endo / np.maximum(epi, 1))  # the solid tip keeps its width
    growth = 1 + systole * hollow * (MYOCARDIUM_GROWTH / (1 - heart.shortening) - 1)
    return squeezed, np.sqrt(squeezed**2 + growth * (epi**2 - endo**2))


def _cut_right(heart: Heart, level: float, systole: float, epi: Table) -> tuple[Table, tuple[float, float]]:
    """Return the free-wall table of the right ventricle around its own center, which lies on the septum."""
    squeeze = 1 - systole * (1 - heart.rv_contraction)
    size = _profile(max(level, 0) / RV_LENGTH) if level >= 0 else 0.0
    angle = np.pi + heart.rv_twist_rad * (0.5 - level)  # up, towards the outflow tract, at the base
    septum_mm = float(epi[int((angle + np.pi) / (2 * np.pi) * len(ANGLES)) % len(ANGLES)])
    center_mm = (0.85 * septum_mm * np.cos(angle), 0.85 * septum_mm * np.sin(angle))
    reach_mm = (0.15 * septum_mm + heart.rv_reach_mm * squeeze) * size
    span_mm = heart.rv_span_mm * (1 - systole * (1 - heart.rv_contraction**0.6)) * size * (1.1 - 0.2 * level)
    along = ANGLES - angle
    ellipse = reach_mm * span_mm / np.sqrt((span_mm * np.cos(along)) ** 2 + (reach_mm * np.sin(along)) ** 2 + 1e-6)
    return (ellipse * heart.rv_outline).astype(np.float32), (float(center_mm[0]), float(center_mm[1]))


def at_angle(table: Table, x_mm: Table, y_mm: Table) -> Table:
    """Look up a table over ANGLES at the direction of each point [...] from the origin."""
    turn = (np.arctan2(y_mm, x_mm) + np.pi) / (2 * np.pi)  # 0..1
    return table[(turn * len(ANGLES)).astype(np.int32) % len(ANGLES)]


def distance_to(table: Table, x_mm: Table, y_mm: Table) -> Table:
    """Radial distance of points [...] from a contour around the origin in millimeters, negative inside."""
    return np.hypot(x_mm, y_mm) - at_angle(table, x_mm, y_mm)


def label_plane(contours: Contours, x_mm: Table, y_mm: Table) -> NDArray[np.uint8]:
    """Label points [H, W]: 0 background, 1 RV cavity, 2 myocardium, 3 LV cavity (papillary muscles included)."""
    label = np.zeros(x_mm.shape, np.uint8)
    if contours.rv.mean() > MIN_LABEL_MM:
        rv_x, rv_y = contours.rv_center_mm
        label[distance_to(contours.rv, x_mm - rv_x, y_mm - rv_y) < 0] = 1
    if contours.epi.mean() > MIN_LABEL_MM:
        label[distance_to(contours.epi, x_mm, y_mm) < 0] = 2
    if contours.endo.mean() > MIN_LABEL_MM:
        label[distance_to(contours.endo, x_mm, y_mm) < 0] = 3
    return label
