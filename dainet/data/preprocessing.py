"""Preprocessing of a volume: gray values to a common range, slices to one size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from dainet.data.sources import Source
from dainet.data.volume import DataError
from dainet.errors import InputError, unknown
from dainet.settings import DataSettings

__all__ = ["normalization_mode", "normalize", "resize_slices"]

_MODES = ("window", "minmax", "percentile", "zscore")


def normalization_mode(settings: DataSettings, source: Source) -> str:
    """Resolve "auto" for this source: "window" for CT, "minmax" for everything else.

    Raises:
        DataError: a window is asked for, but the gray values are not Hounsfield units.
    """
    mode = settings.normalization
    if mode == "auto":
        return "window" if source.is_ct else "minmax"
    if mode == "window" and not source.is_ct:
        raise DataError("data.normalization=window needs Hounsfield units (CT); choose minmax, percentile or zscore")
    return mode


def normalize(image: np.ndarray, mode: str, window_hu: tuple[float, float] = (-125, 275)) -> np.ndarray:
    """Scale the gray values of one volume [D, H, W].

    Args:
        image: in the scanner's units; whole numbers are converted first, so that differences do not wrap around.
        mode: "window" (Hounsfield units clipped to `window_hu`, then [0, 1]; docs/protocol.md#1.2), "minmax" (of this
            volume, to [0, 1], as SSL4MIS does), "percentile" (0.5 and 99.5 clipped, then [0, 1]), or "zscore". The
            paper does not say (docs/protocol.md#5.12).
        window_hu: lower and upper limit in HU, for "window".

    Raises:
        InputError: the mode is unknown, the window is empty, or gray values are constant, NaN or infinite.
    """
    image = image.astype(np.promote_types(image.dtype, np.float32), copy=False)
    _check(image, mode, window_hu)
    if mode == "zscore":
        return (image - image.mean()) / image.std()
    low, high = window_hu if mode == "window" else (image.min(), image.max())
    if mode == "percentile" and np.ptp(percentiles := np.percentile(image, (0.5, 99.5))):
        low, high = percentiles
    return (np.clip(image, low, high) - low) / (high - low)


def _check(image: np.ndarray, mode: str, window_hu: tuple[float, float]) -> None:
    if mode not in _MODES:
        raise unknown("normalization", mode, _MODES)
    if mode == "window" and not -np.inf < window_hu[0] < window_hu[1] < np.inf:
        raise InputError(f"window_hu: found {window_hu}; expected a lower and a higher limit in HU")
    low, high = image.min(initial=np.inf), image.max(initial=-np.inf)
    if not -np.inf < low <= high < np.inf or (low == high and mode != "window"):
        raise InputError(
            f"normalization {mode}: found gray values from {low:g} to {high:g} in {image.shape}; expected a finite "
            "range; check the image"
        )


def resize_slices(volume: np.ndarray, shape: tuple[int, int], order: int) -> np.ndarray:
    """Resize [D, H, W] to `[D, *shape]`, every slice as the peers do it, with scipy's zoom (docs/protocol.md#1.4).

    Zoom is linear and separable in rows and columns, so two matrix products resize a whole volume. Cubic (order 3,
    float32) overshoots the input range slightly; labels use order 0, which copies values and keeps their type. The
    centers of the corner pixels stay in place.

    Raises:
        InputError: a side has no pixel.
    """
    if volume.ndim != 3 or min(*volume.shape[1:], *shape) < 1:
        raise InputError(f"volume {volume.shape} to slices of {shape} px; expected [D, H, W], and sides of at least 1")
    rows, columns = (_zoom_weights(*sides, order) for sides in zip(volume.shape[1:], shape, strict=True))
    if order == 0:
        inside = np.logical_and.outer(rows.any(axis=1), columns.any(axis=1))
        return volume[:, rows.argmax(axis=1)[:, None], columns.argmax(axis=1)] * inside
    half = np.tensordot(volume.astype(np.float32, copy=False), columns, axes=(2, 1))  # [D, H, columns]
    return np.tensordot(half, rows, axes=(1, 1)).swapaxes(1, 2)  # [D, columns, rows], turned


@lru_cache(maxsize=64)
def _zoom_weights(found: int, wanted: int, order: int) -> np.ndarray:
    """Weights [wanted, found]: what zoom makes of each single pixel in a row of `found` pixels.

    At some sizes, 512 to 224 among them, rounding puts the last pixel slightly outside, where scipy fills in 0; its
    weights are then all 0.
    """
    return ndimage.zoom(np.eye(found), (wanted / found, 1), order=order).astype(np.float32)
