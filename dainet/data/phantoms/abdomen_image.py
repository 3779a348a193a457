"""What a CT scanner shows of a phantom abdomen: organs and tissues painted in HU, point spread and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dainet.data.phantoms.abdomen_anatomy import Abdomen, Organ, Plane, cut_abdomen, organ_distance
from dainet.data.phantoms.cardiac_anatomy import Table

__all__ = ["Scan", "acquire", "draw_slice"]

SUBPLANE_MM = 5.0  # a slice thicker than this is the mean of three planes
PROFILE = 0.6  # of the slice spacing is covered by one slice; the whole spacing would hide the adrenals at small sizes
DIAPHRAGM_MM = 1.5  # muscle and fat between an organ and the wall or the lung


@dataclass(frozen=True)
class Scan:
    """Sampling of one volume and the gray levels of its tissues."""

    levels_mm: Table  # [D] slice centers in body coordinates
    rows_mm: Table  # [H]
    columns_mm: Table  # [W]
    spacing_mm: tuple[float, float, float]
    tissues: dict[str, tuple[float, float]]  # HU and texture
    noise_hu: float


def draw_slice(abdomen: Abdomen, scan: Scan, level_mm: float) -> tuple[Table, NDArray[np.uint8]]:
    """Average the planes of one thick slice [H, W]; the label is that of the middle plane."""
    thick = scan.spacing_mm[0]
    count = 1 if thick <= SUBPLANE_MM else 3
    planes = [
        _draw_plane(abdomen, scan, level_mm + PROFILE * thick * ((index + 0.5) / count - 0.5)) for index in range(count)
    ]
    return np.mean([image for image, _ in planes], axis=0), planes[count // 2][1]


def _draw_plane(abdomen: Abdomen, scan: Scan, level_mm: float) -> tuple[Table, NDArray[np.uint8]]:
    """Draw one plane from the skin inwards: HU and label [H, W]."""
    plane = cut_abdomen(abdomen, scan.columns_mm, scan.rows_mm, level_mm)
    canvas = _draw_trunk(abdomen, scan, plane)
    label = np.zeros(canvas.shape, np.uint8)
    for organ in abdomen.organs:
        _draw_organ(canvas, label, organ, scan, plane)
    return canvas, label


def _draw_trunk(abdomen: Abdomen, scan: Scan, plane: Plane) -> Table:
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


def _draw_organ(canvas: Table, label: NDArray[np.uint8], organ: Organ, scan: Scan, plane: Plane) -> None:
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


def _gray(scan: Scan, tissue: str, texture: Table) -> Table:
    mean, grain = scan.tissues[tissue]
    return mean + grain * texture


def _paint(canvas: Table, distance_mm: Table, value: Table, scan: Scan) -> Table:
    """Cover the canvas where the distance is negative; the edge is as wide as a pixel (partial volume)."""
    return canvas + (value - canvas) * np.minimum(np.maximum(0.5 - distance_mm / scan.spacing_mm[1], 0), 1)


def acquire(image: Table, scan: Scan, rng: np.random.Generator) -> NDArray[np.int16]:
    """Add point spread and correlated noise; returns HU [D, H, W] as a scanner stores them."""
    stored = np.empty(image.shape, np.int16)
    for index, plane in enumerate(image):
        noise = ndimage.gaussian_filter(rng.standard_normal(plane.shape, dtype=np.float32), 0.6)
        noisy = ndimage.gaussian_filter(plane, 0.5) + scan.noise_hu * noise / noise.std()
        stored[index] = np.clip(np.rint(noisy), -1024, 3071)
    return stored
