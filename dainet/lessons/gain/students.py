"""What students find who train two networks once each, and which of the plan's changes a reader's file holds."""

from __future__ import annotations

import pandas as pd
import torch

from dainet.compare.analysis import Difference, patient_difference
from dainet.compare.plan import read_plan
from dainet.compare.scores import fold_scores
from dainet.lessons.evidence.trainings import said
from dainet.lessons.gain import PLAN
from dainet.segmentation.catalog import build, takes
from dainet.segmentation.outside import explained, outside_label
from dainet.segmentation.outside_output import check_logits
from dainet.segmentation.slices import final_logits

__all__ = ["finding", "recognized", "students"]


def students(scores: pd.DataFrame, first: str, second: str = "unet") -> pd.DataFrame:
    """Let a student per fold and seed compare one training of each network, with an interval over patients alone.

    Args:
        scores: per case, strict policy, with the columns model, fold, seed, patient and dsc (0..1).
        first, second: names in the column model.

    Returns:
        Rows of `finding`, with fold and seed.
    """
    rows = []
    for (fold, seed), part in scores.groupby(["fold", "seed"]):
        [one], [other] = (fold_scores(part, name) for name in (first, second))
        name = f"seed {seed}" if scores["fold"].nunique() == 1 else f"fold {fold}, seed {seed}"
        rows.append(finding(name, patient_difference(one, other)) | {"fold": fold, "seed": seed})
    return pd.DataFrame(rows)


def finding(student: str, result: Difference) -> dict[str, str | float]:
    """Return a row for `dainet.lessons.evidence.charts.student_figure`: student, difference, low, high (95 %), says."""
    low, high = (float(end) for end in result.interval(0.95))
    return {
        "student": student,
        "difference": float(result.estimate),
        "low": low,
        "high": high,
        "says": said(low, high),
    }


def recognized(name: str) -> str | None:
    """Return the network of the lesson's plan that computes what a network from outside does, or None.

    Both are built from one seed, so the same layers in the same order have the same weights.

    Raises:
        InputError: the network from outside cannot be built, fails, or returns no logits.
    """
    if takes(name) != "image":
        return None
    own = _answer(name)
    networks = {training.model: training.network for training in read_plan(PLAN).trainings()}
    return next((model for model, network in networks.items() if torch.equal(own, _answer(network))), None)


def _answer(name: str) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        network = build(name, width=2).eval()
        with explained(name, "a slice of 32 x 32 px"):
            output = network(torch.rand(1, 1, 32, 32))
        check_logits(f"{outside_label(name)}: for one slice", output, [1, 4, 32, 32])
        return final_logits(output)
