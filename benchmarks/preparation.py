"""Preparation of heart and CT volumes at 224 px, compared with resizing by scipy's zoom slice by slice."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from scipy import ndimage

from benchmarks.timing import Comparison, compare, product_limit
from dainet.data import prepared
from dainet.data.phantoms.abdomen import write_abdomen_phantoms
from dainet.data.phantoms.cardiac import write_cardiac_phantoms
from dainet.data.preprocessing import normalize, resize_slices
from dainet.data.sources import open_source
from dainet.settings import DataSettings, load_settings

__all__ = ["by_scipy", "comparisons"]

_SIZE_PX = 224
_PATIENTS = {"acdc": 20, "synapse": 7}  # the smallest numbers that leave a patient for validation


def comparisons(rounds: int = 3) -> Iterator[Comparison]:
    """Compare, for each data set, the resizing alone, then everything from files to the prepared store."""
    with tempfile.TemporaryDirectory() as folder:
        for dataset, patients in _PATIENTS.items():
            source = Path(folder) / dataset
            if dataset == "acdc":
                write_cardiac_phantoms(source, patients, 0)
            else:
                write_abdomen_phantoms(source, patients, 0, 512)
            settings = load_settings("tour", {"data.dataset": dataset, "data.source": str(source)}).data
            yield _resizing(settings, rounds)
            yield _whole(settings, patients, Path(folder), rounds)


def _resizing(settings: DataSettings, rounds: int) -> Comparison:
    source = open_source(settings)
    volume = source.read(source.cases[0])
    image = normalize(volume.image, "window" if source.is_ct else "minmax")

    def work(resize: Any) -> list[np.ndarray]:
        pairs = ((image, 3), (volume.label, 0))
        return [resize(array, (_SIZE_PX, _SIZE_PX), order) for array, order in pairs]

    depth, height, width = image.shape
    found, expected = work(resize_slices), work(by_scipy)
    error, same = np.abs(found[0] - expected[0]).max(), np.array_equal(found[1], expected[1])
    return compare(
        f"resizing a volume of {settings.dataset}, {' x '.join(map(str, image.shape))}",
        "scipy's zoom, slice by slice",
        lambda: work(resize_slices),
        lambda: work(by_scipy),
        3,
        f"images equal to {error:.0e}, labels {'equal' if same else 'DIFFER'}",
        rounds,
        product_limit(2 * depth * height * _SIZE_PX * (width + _SIZE_PX), torch.float32),
    )


def _whole(settings: DataSettings, patients: int, folder: Path, rounds: int) -> Comparison:
    def ours() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as runs, patch.dict("os.environ", DAINET_RUNS=runs):
            prepared.run_prepared(settings, _SIZE_PX)

    def peer() -> None:
        with patch.object(prepared, "resize_slices", by_scipy):
            ours()

    return compare(
        f"preparing {patients} patients of {settings.dataset}: reading, checking, resizing, writing",
        "the same with scipy's zoom",
        ours,
        peer,
        3,
        "see the row above",
        rounds,
    )


def by_scipy(volume: np.ndarray, shape: tuple[int, int], order: int) -> np.ndarray:
    """Resize [D, H, W] to [D, *shape] as the peers do it (docs/protocol.md#1.4)."""
    factors = [wanted / found for wanted, found in zip(shape, volume.shape[1:], strict=True)]
    return np.stack([ndimage.zoom(image, factors, order=order) for image in volume])
