"""Scores of two more trainings of the tour: its tables stand on three seeds without three times the minutes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dainet.lessons.shipped_scores import read_shipped, ship
from dainet.protocol import NETWORKS
from dainet.settings import Settings

__all__ = ["train_more_seeds", "with_more_seeds"]

_SEEDS = (1, 2)


def with_more_seeds(scores: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Append the shipped scores of the same networks with other seeds; a run of other settings stays as it is.

    Args:
        scores: per case, as `dainet.pipeline.scores` gives.
        settings: those of the run; the shipped scores count only if they differ in nothing but the seeds.
    """
    shipped = read_shipped(settings.data.dataset, settings, _SEEDS)
    if shipped is None:
        return scores
    missing = shipped["model"].isin(scores["model"]) & ~shipped["seed"].isin(scores["seed"])
    return pd.concat([scores, shipped[missing]], ignore_index=True)


def train_more_seeds(settings: Settings) -> Path:
    """Train the networks of the ablation with the shipped seeds and write their scores into the package, with a record.

    Takes twice as long as the trainings of notebooks 04 and 05 together.
    """
    return ship(settings.data.dataset, settings, NETWORKS["ablation"], _SEEDS)
