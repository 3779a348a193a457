"""Exercises of notebook 4: channels, an absent class, the control for size and the control for attention."""

from __future__ import annotations

import numpy as np
import torch

from dainet.lessons.answers.kinds import Exercise, Number, judgment
from dainet.segmentation.catalog import build
from dainet.segmentation.metrics import score_volume
from dainet.segmentation.networks import parameter_count

__all__ = ["EXERCISES"]


def _dsc_of_nothing_found_where_nothing_is() -> float:
    nothing = np.zeros((2, 8, 8), np.uint8)
    return float(score_volume(nothing, nothing, ["organ"], None)[1]["dsc"])


def _width_of_equal_size() -> int:
    with torch.device("meta"):  # counts need no memory
        target = parameter_count(build("unet"))
        return min(range(40, 56), key=lambda width: abs(parameter_count(build("dual-1111", width=width)) - target))


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda: 1 + 6,
        nudge="what enters besides the image?",
        hint="C + h, with one image channel",
        mistakes={"the image enters, too": lambda: 6},
    ),
    Number(
        truth=_dsc_of_nothing_found_where_nothing_is,
        nudge="the policy looks at the prediction first",
        hint="try score_volume on two empty masks",
        mistakes={"this is what an *invented* organ gets": lambda: 1},
    ),
    Number(
        truth=_width_of_equal_size,
        nudge="how do parameters grow with the width?",
        hint="parameters grow with the square of the width",
        mistakes={"this divides by the ratio of parameters; how do parameters grow with the width?": lambda: 36},
    ),
    judgment(
        right="b",
        nudge="which one changes the maps and nothing else?",
        hint="two of the four do not touch the maps at all",
        reasons={
            "a": "more seeds make the 1.5 points more certain, but not their reason",
            "c": "this asks whether the U-Net has converged; it does not touch the maps",
            "d": "this changes the number of maps and the size of the network together",
        },
    ),
)
