"""DSC and HD95 of a CT volume with eight organs, compared with medpy on whole volumes, class by class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from medpy.metric import binary

from benchmarks.timing import Comparison, compare, copy_limit
from dainet.segmentation.metrics import score_volume

__all__ = ["ORGANS", "comparisons", "ct_volume"]

_SHAPE = (148, 512, 512)
# Center and half-axes in voxels (z, y, x) of ellipsoids about as large as the organs in such a volume.
ORGANS = {
    "Aorta": ((74, 290, 262), (70, 13, 13)),
    "Gallbladder": ((60, 210, 190), (10, 17, 15)),
    "Kidney (L)": ((60, 320, 340), (30, 33, 28)),
    "Kidney (R)": ((58, 320, 180), (30, 33, 28)),
    "Liver": ((80, 230, 165), (35, 95, 90)),
    "Pancreas": ((66, 250, 270), (14, 18, 55)),
    "Spleen": ((85, 310, 390), (26, 45, 28)),
    "Stomach": ((85, 215, 320), (28, 50, 45)),
}


def comparisons(rounds: int = 1) -> Iterator[Comparison]:
    """Compare once; the peer takes minutes, so there are few rounds."""
    label, prediction, names = ct_volume(shift=0), ct_volume(shift=3), list(ORGANS)
    found: dict[str, list[tuple[float, float]]] = {}  # DSC and HD95 per organ

    def ours() -> None:
        records = score_volume(prediction, label, names, None)
        found["ours"] = [(record["dsc"], record["hd95_vox"]) for record in records if record["policy"] == "peer"]

    def peer() -> None:
        pairs = [(prediction == value, label == value) for value in range(1, len(names) + 1)]
        found["peer"] = [(binary.dc(*pair), binary.hd95(*pair)) for pair in pairs]

    size = " x ".join(map(str, _SHAPE))
    limit = copy_limit(label.nbytes + prediction.nbytes)
    row = compare(f"DSC and HD95, 8 organs, {size}", "medpy on whole volumes", ours, peer, 100, "", rounds, limit)
    same = "equal to the last bit" if found["ours"] == found["peer"] else f"DIFFERENT: {found}"
    yield replace(row, agreement=same)


def ct_volume(shift: int) -> np.ndarray:
    """Draw labels 1 to 8 as ellipsoids, moved by `shift` voxels along every axis."""
    volume = np.zeros(_SHAPE, np.uint8)
    grid = np.ogrid[tuple(slice(side) for side in _SHAPE)]
    organs = enumerate(ORGANS.values(), start=1)
    for value, (center, axes) in sorted(organs, key=lambda organ: -np.prod(organ[1][1])):  # small ones on top
        radius = sum(((x - c - shift) / a) ** 2 for x, c, a in zip(grid, center, axes, strict=True))
        volume[radius <= 1] = value
    return volume
