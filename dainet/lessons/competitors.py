"""Scores of the paper's competitors, trained by this kit: from the cache, or those of the tour that come with the kit.

The tour trains reduced forms (`-small`) of the large networks, each once and from scratch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from dainet import pipeline
from dainet.cache.runs import find_runs
from dainet.cache.store import StageMissingError, finished_only
from dainet.errors import InputError
from dainet.lessons.shipped_scores import read_shipped, ship
from dainet.protocol import NETWORKS
from dainet.segmentation.catalog import BASELINES
from dainet.settings import Settings

__all__ = ["train_competitors", "with_competitors"]

_SEEDS = (0,)


def with_competitors(scores: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Append the scores of competitors that were trained with the same settings; nothing is trained.

    They are those of finished trainings in the cache with the seeds of the settings and, for the tour, those that come
    with the kit of networks without such a training.

    Args:
        scores: per case, as `dainet.pipeline.scores` gives; its networks are not appended again.
        settings: those of the run.
    """
    for more in (*_finished(settings), read_shipped(_name(settings), settings, _SEEDS)):
        if more is not None:
            scores = pd.concat([scores, more[~more["model"].isin(scores["model"])]], ignore_index=True)
    return scores


def train_competitors(settings: Settings) -> Path:
    """Train the competitors of notebook 08 once each and write their scores into the package, with a record.

    Takes half an hour on one core; finished trainings in the cache are reused.
    """
    return ship(_name(settings), settings, NETWORKS["competitors"], _SEEDS)


def _finished(settings: Settings) -> Iterator[pd.DataFrame]:
    """Yield the scores of every competitor of which all seeds of these settings are trained and scored."""
    models = {(run.record or {}).get("settings", {}).get("model") for run in find_runs() if run.stage == "segmentation"}
    for name in (name for name in BASELINES if name in models):
        try:
            with finished_only():
                trained = [pipeline.train(settings, name, seed) for seed in settings.segmentation.seeds]
        except (StageMissingError, InputError):  # not trained with these settings, or they do not allow it
            continue
        yield pipeline.scores(trained)


def _name(settings: Settings) -> str:
    return f"{settings.data.dataset}_competitors"
