"""Exercises of notebook 5: the order of the switches, the price of one, the number of trainings, a failed one."""

from __future__ import annotations

import math

import torch

from dainet.lessons.answers.kinds import Exercise, Number, judgment
from dainet.lessons.evidence import read_scores
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count

__all__ = ["EXERCISES"]


def _price_of_skip_one(order: str) -> int:
    with torch.device("meta"):  # counts need no memory
        with_skip, without = (build(name, switch_order=order) for name in ("dual-1000", "dual-0000"))
    return parameter_count(with_skip) - parameter_count(without)


def _trainings(*networks: str) -> int:
    means = 100 * read_scores().groupby(["model", "seed"])["dsc"].mean()
    return math.ceil(sum(means[network].var() for network in networks) / 0.1**2)


EXERCISES: tuple[Exercise, ...] = (
    Number(
        truth=lambda: 1,
        nudge="which end is (1)?",
        hint="(4) is the last of the four, and (1) the deepest",
        mistakes={"this is the resolution of switch (1)": lambda: 1 / 8},
    ),
    Number(
        truth=lambda: _price_of_skip_one("shallow-first"),
        nudge="at which resolution is (1) in this order, and how many channels has a skip there?",
        hint="only the first convolution of one decoder block grows; build both networks and subtract",
        mistakes={
            "this is its price in our order, deep-first": lambda: _price_of_skip_one("deep-first"),
            "the convolution that reads the skip has 3 x 3 kernels": lambda: 64 * 64,
        },
    ),
    Number(
        truth=lambda: _trainings("unet", "dual-1111"),
        nudge="both means vary",
        hint="the variance of the difference of two means of n trainings is the sum of both variances, over n",
        mistakes={
            "the standard error is then 0.1 or more, and not below it": lambda: _trainings("unet", "dual-1111") - 1,
            "this counts the spread of one network only": lambda: _trainings("unet"),
        },
    ),
    judgment(
        right="c",
        nudge="look at the last column first",
        hint="what does a network that never draws the wall do in every patient?",
        reasons={
            "a": "nearly all of the difference is the missing Myo; a training that works may take it away",
            "b": "it is right about the patients: the missing class is missing in all of them",
            "d": "more patients would only make the interval of the accident narrower",
        },
    ),
)
