"""Exercises of notebook 3: stored maps, AUROC and the center of the slice."""

from __future__ import annotations

import numpy as np

from dainet.attention.head_scores import head_scores
from dainet.data.prepared import Prepared
from dainet.lessons.answers.kinds import Exercise, Number

__all__ = ["EXERCISES"]


def _center_auroc(prepared: Prepared) -> float:
    labels = prepared.labels[prepared.rows("test")]
    ramp = np.linspace(-1, 1, labels.shape[-1])
    center = -np.hypot(ramp[:, None], ramp[None])[None]
    scores = head_scores([center] * len(labels), labels, prepared.classes.names).set_index("class")
    return float(scores.loc["any", "auroc"])


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda: 6 * 16 * 16 * 2,
        nudge="how many tokens has a map?",
        hint="the grid is 256 / 16 on a side",
        mistakes={"a 16-bit number takes two bytes": lambda: 6 * 16 * 16},
    ),
    Number(
        truth=lambda: 0.5,
        nudge="what happens when both pixels have the same value?",
        hint="every comparison of a pixel inside with one outside is a tie",
    ),
    Number(
        truth=_center_auroc,
        within=0.02,
        share=True,
        nudge="the map must be highest in the middle",
        hint="use -distance from the center as the map of a single head",
        mistakes={"this map is highest at the border": lambda prepared: 1 - _center_auroc(prepared)},
    ),
)
