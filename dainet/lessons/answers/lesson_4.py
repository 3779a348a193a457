"""Exercises of notebook 4: channels, an absent class and the control for size."""

from __future__ import annotations

import numpy as np

from dainet.lessons.answers.kinds import Exercise, Number
from dainet.segmentation.metrics import score_volume
from dainet.segmentation.networks import build, parameter_count

__all__ = ["EXERCISES"]


def _dsc_of_nothing_found_where_nothing_is() -> float:
    nothing = np.zeros((2, 8, 8), np.uint8)
    return float(score_volume(nothing, nothing, ["organ"], None)[1]["dsc"])


def _width_of_equal_size() -> int:
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
    ),
    Number(
        truth=_width_of_equal_size,
        nudge="how do parameters grow with the width?",
        hint="parameters grow with the square of the width",
    ),
)
