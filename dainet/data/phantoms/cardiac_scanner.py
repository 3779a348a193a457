"""Effects of a bSSFP scan on the ideal gray levels of a phantom: coil, off-resonance bands, ghost, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from dainet.data.phantoms.cardiac_anatomy import Table

__all__ = ["Scanner", "acquire", "sample_scanner"]


@dataclass(frozen=True)
class Scanner:
    """Parameters of the effects of one scan on the ideal gray levels."""

    blur_px: float  # standard deviation of the point spread
    noise: float  # standard deviation per channel, in units of the gray level
    coil: tuple[float, float, float]  # strength, and direction of the brightest side
    band: tuple[float, float, float]  # bSSFP off-resonance: phase in rad, gradients in rad per mm


def sample_scanner(rng: np.random.Generator) -> Scanner:
    """Draw sharpness, noise, coil sensitivity and field of one scan."""
    return Scanner(
        blur_px=float(rng.uniform(0.45, 0.85)),
        noise=float(rng.uniform(0.008, 0.025)),
        coil=(float(rng.uniform(0.15, 0.5)), float(rng.normal(-0.8, 0.25)), float(rng.normal(-0.5, 0.35))),
        band=(float(rng.uniform(-0.6, 0.6)), float(rng.normal(0, 0.009)), float(rng.normal(0, 0.009))),
    )


def acquire(image: Table, scanner: Scanner, x_mm: Table, y_mm: Table, rng: np.random.Generator) -> Table:
    """Scan the slices: coil sensitivity, off-resonance bands, a faint breathing ghost, point spread and Rician noise.

    Args:
        image: [D, H, W] ideal gray levels.
        scanner: from `sample_scanner`.
        x_mm, y_mm: [H, W] heart coordinates of the pixels.
        rng: noise source.

    Returns:
        [D, H, W] non-negative magnitudes.
    """
    strength, coil_x, coil_y = scanner.coil
    phase, slope_x, slope_y = scanner.band
    coil = np.exp(strength * ((coil_x * x_mm + coil_y * y_mm) / 90 - (x_mm**2 + y_mm**2) / 250**2))
    resonance = phase + slope_x * x_mm + slope_y * y_mm + (x_mm**2 + y_mm**2) / 95**2
    bands = 1 - 0.75 * np.exp(-((np.cos(resonance / 2) / 0.22) ** 2))  # dark where the phase passes pi
    ghost = 0.025 * np.roll(image, image.shape[-2] // 3, axis=-2)
    blurred = ndimage.gaussian_filter((image + ghost) * coil * bands, (0, scanner.blur_px, scanner.blur_px))
    noise = ndimage.gaussian_filter(rng.standard_normal((2, *image.shape), dtype=np.float32), (0, 0, 0.4, 0.4))
    return np.hypot(blurred + 1.35 * scanner.noise * noise[0], 1.35 * scanner.noise * noise[1])
