"""Gray levels of a phantom slice: the chest around the heart, and the heart itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from dainet.data.phantoms.cardiac_anatomy import (
    Contours,
    Table,
    angular_bump,
    at_angle,
    distance_to,
    random_ripple,
    soften,
)

__all__ = [
    "Scene",
    "draw_chest",
    "draw_heart",
    "sample_scene",
    "texture",
]

CHEST_WALL_MM = 10.0  # mm; ribs and the muscles between them
RV_WALL_MM = 2.5  # mm; the free wall of the right ventricle is as thin as two pixels
AORTA_MM = 11.0  # mm; radius of the descending aorta


@dataclass(frozen=True)
class Scene:
    """Tissue gray levels (1 is the brightest fat near the coil) and the geometry of one patient's chest."""

    blood: float
    rv_blood: float
    myocardium: float
    fat: float
    muscle: float
    lung: float
    liver: float
    stomach: float
    chest: Table  # mm; inside of the chest wall over the angle, around `chest_center_mm`
    chest_center_mm: tuple[float, float]  # from the heart, x right and y down
    fat_mm: Table  # thickness of the subcutaneous fat around the chest
    organs: Table  # [6] grays of what lies below the diaphragm
    diaphragm_mm: float  # height of the diaphragm under the heart
    diaphragm_curve: tuple[float, float]  # slope, and curvature per mm
    stomach_mm: tuple[float, float, float]  # center x, y, radius
    aorta_mm: tuple[float, float]  # center
    epicardial_fat_mm: Table  # thickness around the heart
    papillary: tuple[tuple[float, float, float], ...]  # angle in rad, relative distance from the axis, radius in mm
    trabeculae_mm: Table  # muscle that reaches into the cavity and is labeled as blood


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draw the contrast and the chest of one patient."""
    blood = float(rng.uniform(0.55, 0.8))
    myocardium = blood * float(rng.uniform(0.36, 0.56))
    build = float(rng.uniform(0, 1))  # 0 slim, 1 stout
    fat_mm = 7 + 14 * build + random_ripple(rng, range(1, 6), 5) + 25 * build * angular_bump(rng.uniform(-2.4, -1), 0.9)
    return Scene(
        blood=blood,
        rv_blood=blood * float(rng.uniform(0.78, 0.98)),
        myocardium=myocardium,
        fat=float(rng.uniform(0.65, 0.95)),
        muscle=myocardium * float(rng.uniform(0.6, 0.9)),
        lung=float(rng.uniform(0.02, 0.05)),
        liver=myocardium * float(rng.uniform(0.75, 1.15)),
        stomach=float(rng.choice([0.08, myocardium, blood])) * float(rng.uniform(0.8, 1.1)),
        chest=float(rng.uniform(148, 160)) * (1 + random_ripple(rng, range(2, 5), 0.025)),
        chest_center_mm=(float(rng.uniform(52, 64)), float(rng.uniform(45, 65))),
        fat_mm=np.maximum(fat_mm, 4).astype(np.float32),
        organs=(blood * rng.permutation([0.12, 0.3, 0.42, 0.5, 0.85, 1.1])).astype(np.float32),
        diaphragm_mm=float(rng.uniform(30, 44)),
        diaphragm_curve=(float(rng.uniform(-0.1, 0.35)), float(rng.uniform(0.0015, 0.004))),
        stomach_mm=(float(rng.uniform(35, 65)), float(rng.uniform(75, 95)), float(rng.uniform(18, 30))),
        aorta_mm=(float(rng.uniform(48, 62)), float(rng.uniform(36, 52))),
        epicardial_fat_mm=np.clip(1.8 + random_ripple(rng, range(1, 4), 2.2), 0, 7).astype(np.float32),
        papillary=tuple(
            (angle + float(rng.normal(0, 0.2)), float(rng.uniform(0.62, 0.8)), float(rng.uniform(3.2, 5.6)))
            for angle in (-1.1, -0.6, 1.4, 1.8)[int(rng.integers(2)) :]
        ),
        trabeculae_mm=np.maximum(0, 0.8 + random_ripple(rng, range(2, 14), 0.9)).astype(np.float32),
    )


def texture(rng: np.random.Generator, shape: tuple[int, ...], sigma: float | tuple[float, ...]) -> Table:
    """Smooth random field [..., H, W] with zero mean and unit standard deviation."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap")
    return field / field.std()


def _paint(canvas: Table, distance_mm: Table, value: float | Table, edge_mm: float = 1.5) -> Table:
    """Cover the canvas where the distance is negative, with a linear edge of this width (partial volume)."""
    return canvas + (value - canvas) * np.clip(0.5 - distance_mm / edge_mm, 0, 1)


def _outline(canvas: Table, distance_mm: Table, strength: float, width_mm: float = 1.2) -> Table:
    """Darken a contour: bSSFP cancels the signal where fat and water share a pixel."""
    return canvas * (1 - strength * np.exp(-((distance_mm / width_mm) ** 2)))


def _disc(x_mm: Table, y_mm: Table, center_mm: tuple[float, float], radius_mm: float) -> Table:
    """Distance to a circle in millimeters, negative inside."""
    return np.hypot(x_mm - center_mm[0], y_mm - center_mm[1]) - radius_mm


def draw_chest(scene: Scene, x_mm: Table, y_mm: Table, level: float, rough: Table, fine: Table) -> Table:
    """Draw everything but the heart for one plane.

    Args:
        scene: from `sample_scene`.
        x_mm, y_mm: [H, W] heart coordinates of the pixels.
        level: 0 at the base, 1 at the apex, where the chest wall comes nearer.
        rough, fine: [H, W] random fields of unit deviation, coarse and fine grained.

    Returns:
        [H, W] gray levels, 0 in air.
    """
    center_x, center_y = scene.chest_center_mm
    skin_x, skin_y = x_mm - center_x - 10 * level, y_mm - center_y - 8 * level
    cavity = distance_to(scene.chest, skin_x, skin_y)
    skin = cavity - CHEST_WALL_MM - at_angle(scene.fat_mm, skin_x, skin_y)
    ribs = soften(0.5 + 2 * np.cos(17 * np.arctan2(skin_y, skin_x) + rough))
    septa = 0.6 * soften(fine - 1.4)  # connective tissue in the fat
    canvas = _paint(np.zeros_like(x_mm), skin, scene.fat * (1 + 0.08 * rough - septa))
    canvas = _outline(canvas, cavity - CHEST_WALL_MM, 0.5)
    canvas = _paint(canvas, cavity - CHEST_WALL_MM, scene.muscle * (0.4 + 1.2 * ribs + 0.15 * fine))
    vessels = soften((fine - 1.9) * 1.5) * scene.blood * 0.8
    canvas = _paint(canvas, cavity, scene.lung * (1 + 0.4 * rough) + vessels, 3.0)
    front = np.maximum(cavity, x_mm + 50 - 12 * level + 0.8 * np.abs(y_mm + 3) + 5 * rough)  # fat behind the sternum
    canvas = _paint(canvas, front, scene.fat * (0.5 + 0.15 * rough - 0.7 * septa), 4.0)
    canvas = _draw_abdomen(canvas, scene, x_mm, y_mm, cavity, rough, fine)
    return _draw_vessels(canvas, scene, x_mm, y_mm, level)


def _draw_abdomen(
    canvas: Table, scene: Scene, x_mm: Table, y_mm: Table, cavity: Table, rough: Table, fine: Table
) -> Table:
    """Add liver, stomach and bowel below the diaphragm; their gray levels are close to the myocardium's."""
    slope, curve = scene.diaphragm_curve
    top = scene.diaphragm_mm + slope * x_mm + curve * x_mm**2 + rough
    below = np.maximum(top - y_mm, cavity)
    step = np.linspace(-1.5, 1.5, 6)  # bands of the rough field become organs, with steep borders
    gray = np.interp(rough + 0.08 * fine, np.repeat(step, 2) + np.tile([-0.22, 0.22], 6), np.repeat(scene.organs, 2))
    canvas = _paint(canvas, below, gray * (1 + 0.1 * fine))
    liver_edge = np.maximum(below, 0.9 * (x_mm - 18) + 0.5 * (y_mm - 60) + 4 * rough)
    hepatic = soften((fine - 1.6) * 2) * 0.25 * scene.blood
    canvas = _paint(canvas, liver_edge, scene.liver * (1 + 0.05 * rough) + hepatic, 2.0)
    stomach_x, stomach_y, radius = scene.stomach_mm
    stomach = np.maximum(_disc(x_mm, 1.3 * (y_mm - stomach_y) + stomach_y, (stomach_x, stomach_y), radius), below)
    stomach = stomach + 2.5 * rough
    canvas = _paint(canvas, stomach, scene.myocardium * 0.9, 2.0)
    canvas = _paint(canvas, stomach + 4, scene.stomach * (1 + 0.15 * rough), 2.0)
    return _outline(canvas, below, 0.6)


def _draw_vessels(canvas: Table, scene: Scene, x_mm: Table, y_mm: Table, level: float) -> Table:
    """Add the descending aorta, and near the base the inferior vena cava: blood outside the heart."""
    aorta = _disc(x_mm, y_mm, (scene.aorta_mm[0] + 8 * level, scene.aorta_mm[1] + 6 * level), AORTA_MM)
    canvas = _paint(canvas, aorta - 2, scene.myocardium)
    canvas = _paint(canvas, aorta, scene.blood * 1.15)
    if level < 0.35:
        cava = _disc(x_mm, 0.7 * y_mm, (-6.0, 0.7 * (scene.diaphragm_mm + 12)), 9.0)
        canvas = _outline(_paint(canvas, cava, scene.blood * 0.9), cava, 0.5)
    return canvas


def draw_heart(
    canvas: Table, scene: Scene, cut: Contours, x_mm: Table, y_mm: Table, systole: float, rough: Table, fine: Table
) -> Table:
    """Draw one plane of the heart over the chest; above the mitral plane these are atria and great vessels.

    Args:
        canvas: [H, W] gray levels of the chest.
        scene: from `sample_scene`.
        cut: contours of this plane.
        x_mm, y_mm: [H, W] heart coordinates of the pixels.
        systole: 0 at end-diastole, 1 at end-systole.
        rough, fine: [H, W] random fields of unit deviation: flow and trabeculae.
    """
    if cut.level < 0:
        return _draw_atria(canvas, scene, x_mm, y_mm, rough)
    right = distance_to(cut.rv, x_mm - cut.rv_center_mm[0], y_mm - cut.rv_center_mm[1])
    left = distance_to(cut.epi, x_mm, y_mm)
    sac = np.minimum(left, right - RV_WALL_MM) - at_angle(scene.epicardial_fat_mm, x_mm, y_mm)
    if cut.epi.mean() > 1:
        canvas = _outline(_paint(canvas, sac, scene.fat * 0.75 * (1 + 0.1 * rough)), sac, 0.6)
    canvas = _draw_right(canvas, scene, cut, right, rough, fine)
    wall = scene.myocardium * (1 + 0.07 * rough + 0.05 * fine)
    canvas = _paint(_outline(canvas, left, 0.25), left, wall)
    return _draw_left(canvas, scene, cut, x_mm, y_mm, systole, rough, fine)


def _draw_right(canvas: Table, scene: Scene, cut: Contours, right: Table, rough: Table, fine: Table) -> Table:
    """Add the right ventricle: thin free wall, blood, and trabeculae that grow denser towards wall and apex."""
    if cut.rv.mean() <= 1:
        return canvas
    canvas = _paint(canvas, right - RV_WALL_MM, scene.myocardium * 1.1)
    blood = scene.rv_blood * (1 + 0.09 * rough)
    near_wall = np.exp(np.minimum(right, 0) / 9) * (0.5 + 0.6 * cut.level)
    trabeculae = soften((fine - 0.9) * 1.5) * near_wall
    return _paint(canvas, right, blood + (scene.myocardium - blood) * trabeculae)


def _draw_left(
    canvas: Table, scene: Scene, cut: Contours, x_mm: Table, y_mm: Table, systole: float, rough: Table, fine: Table
) -> Table:
    """Add the blood of the left ventricle inside its trabeculae, and the papillary muscles."""
    if cut.endo.mean() <= 1:
        return canvas
    ridges = scene.trabeculae_mm * (0.5 + cut.level) * (1 + 0.3 * systole)
    pool = distance_to(np.maximum(cut.endo - ridges, 0.4 * cut.endo), x_mm, y_mm) + 0.7 * fine * cut.level
    flow = scene.blood * (1 - 0.12 * systole) * (1 + (0.06 + 0.05 * systole) * rough)
    canvas = _paint(canvas, pool, flow - 0.15 * scene.blood * soften(fine - 1.2), 2.0)
    reach = float(soften((cut.level - 0.15) / 0.15) * soften((0.9 - cut.level) / 0.2))
    for angle, place, radius in scene.papillary:
        away = place * float(cut.endo.mean())
        center = (away * np.cos(angle), away * np.sin(angle))
        size = min(radius * reach * (1 + 0.15 * systole), 0.4 * float(cut.endo.mean()))
        if size > 1:
            canvas = _paint(canvas, _disc(x_mm, y_mm, center, size) + 1.2 * rough, scene.myocardium * 1.05, 2.0)
    return canvas


def _draw_atria(canvas: Table, scene: Scene, x_mm: Table, y_mm: Table, rough: Table) -> Table:
    """Add left atrium, right atrium, outflow tract and aortic root: bright, thin-walled and unlabeled."""
    right = np.minimum(_disc(x_mm, y_mm, (-40, 8), 25), _disc(x_mm, y_mm, (-26, -24), 17)) + 2.5 * rough
    left = _disc(x_mm, 1.2 * y_mm, (7, 8), 26) - 2.5 * rough
    aorta = _disc(x_mm, y_mm, (-8, -14), 13.5) + 0.8 * rough
    around = np.minimum(np.minimum(right, left), aorta) - at_angle(scene.epicardial_fat_mm, x_mm, y_mm)
    canvas = _outline(_paint(canvas, around - 2, scene.fat * (0.6 + 0.15 * rough), 3.0), around - 2, 0.5)
    for edge, gray in ((right, scene.rv_blood), (left, 0.9 * scene.blood), (aorta, scene.blood)):
        canvas = _paint(canvas, edge - 1.8, scene.myocardium, 2.5)
        canvas = _paint(canvas, edge, gray * (0.95 + 0.13 * rough), 2.5)
    return canvas
