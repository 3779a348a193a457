"""DSC and HD95 of a CT volume with eight organs, against medpy on whole volumes, class by class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from medpy.metric import binary

from benchmarks.timing import Comparison, compare
from dainet.metrics import score_volume

__all__ = ["ORGANS", "comparisons", "ct_volume"]

_SHAPE = (148, 512, 512)
# Centre and half-axes in voxels (z, y, x) of ellipsoids of about the organs' sizes in such a volume.
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


def comparisons(rounds: int = 2) -> Iterator[Comparison]:
    """One row."""
    label, prediction = ct_volume(shift=0), ct_volume(shift=3)
    names, values = list(ORGANS), range(1, len(ORGANS) + 1)

    def ours() -> list[tuple[float, float]]:
        records = score_volume(prediction, label, names, None)
        return [(record["dsc"], record["hd95_vox"]) for record in records if record["policy"] == "peer"]

    def peer() -> list[tuple[float, float]]:
        pairs = [(prediction == value, label == value) for value in values]
        return [(binary.dc(*pair), binary.hd95(*pair)) for pair in pairs]

    found, expected = np.array(ours()), np.array(peer())
    same = "HD95 equal to the last bit" if np.array_equal(found[:, 1], expected[:, 1]) else "HD95 DIFFERS"
    dsc = "DSC too" if np.array_equal(found[:, 0], expected[:, 0]) else "DSC DIFFERS"
    yield compare(
        f"DSC and HD95, {len(names)} organs, {' x '.join(map(str, _SHAPE))}",
        "medpy on whole volumes",
        ours,
        peer,
        100,
        f"{same}, {dsc}",
        rounds,
    )


def ct_volume(shift: int) -> np.ndarray:
    """Labels 1 to 8 as ellipsoids, moved by `shift` voxels along every axis."""
    volume = np.zeros(_SHAPE, np.uint8)
    grid = np.ogrid[tuple(slice(side) for side in _SHAPE)]
    organs = enumerate(ORGANS.values(), start=1)
    for value, (centre, axes) in sorted(organs, key=lambda organ: -np.prod(organ[1][1])):  # small ones on top
        radius = sum(((x - c - shift) / a) ** 2 for x, c, a in zip(grid, centre, axes, strict=True))
        volume[radius <= 1] = value
    return volume
