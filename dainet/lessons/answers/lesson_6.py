"""Exercises of notebook 6: channels of a skip, the class that suffers most, a judgment, and another neutral map."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch

from dainet.lessons.answers.kinds import Choice, Exercise, Number, judgment
from dainet.segmentation.cuts import CutNetwork
from dainet.segmentation.evaluation import volume_dsc

__all__ = ["EXERCISES"]


def _lost_with_the_mean_map(full: Any, data: Any, volumes: Any) -> float:
    """DSC in points lost when every head gets its average over the training slices, [h, S, S]."""
    rows = torch.from_numpy(data.prepared.rows("train"))
    cut = CutNetwork(full.model)
    cut.heads_on = (False,) * full.model.heads
    cut.instead = torch.stack([data.inputs(row[None])[1][0] / len(rows) for row in rows]).sum(dim=0)
    whole, kept = (volume_dsc(network, data, volumes).nanmean() for network in (full.model, cut))
    return float(100 * (whole - kept))


def _without_heads(importance: pd.DataFrame) -> pd.Series:
    lines = importance[(importance["head"] == "all heads") & (importance["class"] != "mean")]
    return lines.set_index("class")["lost"]


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda: 64 * 2**3,
        nudge="how often has the encoder halved the resolution at 1/8?",
        hint="channels double at every level: 64 at full resolution, then 128, ...",
        mistakes={
            "that is the width at full resolution": lambda: 64,
            "1/8 is three halvings away from full resolution, not two": lambda: 64 * 2**2,
            "that is the bottleneck at 1/16, which has no switch": lambda: 64 * 2**4,
        },
    ),
    Choice(
        truth=lambda importance: _without_heads(importance).idxmax(),
        options=lambda importance: _without_heads(importance).index,
        nudge="look at the lines of 'all heads' only",
        hint="take the line of 'all heads' with the largest 'lost', without 'mean'",
    ),
    judgment(
        right="b",
        reasons={
            "a": "then another patient's map, with the organ in another place, would have cost points as well",
            "c": "a cut says nothing about training without the head: the other weights would have adapted",
        },
        nudge="what differs between the two cuts?",
        hint="the second cut keeps the input familiar and changes only whose map it is",
    ),
    Number(
        truth=_lost_with_the_mean_map,
        within=0.06,
        nudge="average over slices, separately for each head and pixel",
        hint="sum data.inputs(rows)[1] over its first dimension for all training rows, and divide by their number",
        mistakes={
            "that is the loss with each slice's own mean: average over slices, and keep the places": (
                lambda ways: ways.loc["all heads", "mean"]
            ),
            "almost no loss: heads_on must be False for every head, and points are 100 times volume_dsc": lambda: 0.0,
            "that is the loss with zeros": lambda ways: ways.loc["all heads", "zero"],
        },
    ),
)
