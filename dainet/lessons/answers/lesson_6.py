"""Exercises of notebook 6: channels of a skip, the class that suffers most, and a kinder cut."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch

from dainet.lessons.answers.kinds import Choice, Exercise, Number
from dainet.segmentation.evaluation import volume_dsc

__all__ = ["EXERCISES"]


class _MeanOfHeadOne(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        attention = attention.clone()
        attention[:, 0] = attention[:, 0].mean(dim=(1, 2), keepdim=True)
        output: torch.Tensor = self.model(image, attention)
        return output


def _lost_with_the_mean(full: Any, data: Any, volumes: Any) -> float:
    whole, kinder = (volume_dsc(net, data, volumes).nanmean() for net in (full.model, _MeanOfHeadOne(full.model)))
    return float(100 * (whole - kinder))


def _without_heads(importance: pd.DataFrame) -> pd.Series:
    lines = importance[(importance["head"] == "all heads") & (importance["class"] != "mean")]
    return lines.set_index("class")["lost"]


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda: 64 * 2**3,
        nudge="how often has the encoder halved the resolution at 1/8?",
        hint="channels double at every level: 64 at full resolution, then 128, ...",
    ),
    Choice(
        truth=lambda importance: _without_heads(importance).idxmax(),
        options=lambda importance: _without_heads(importance).index,
        nudge="look at the lines of 'all heads' only",
        hint="take the line of 'all heads' with the largest 'lost', without 'mean'",
    ),
    Number(
        truth=_lost_with_the_mean,
        within=0.06,
        nudge="both networks see all validation volumes",
        hint="clone the maps, then overwrite channel 0 of dimension 1",
    ),
)
