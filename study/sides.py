"""How often trainings of a plan take the right one of a pair of organs for the left one: `python -m study sides`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dainet.cache.store import finished_only
from dainet.compare.facts import read_records
from dainet.compare.plan import Training
from dainet.compare.scores import Scored
from dainet.data.arrangement import sided_pairs
from dainet.errors import InputError
from dainet.pipeline import network_data
from dainet.reporting.artifacts import save_csv
from study.extremes import Stages, stages_of

__all__ = ["compare_sides", "write_sides"]


def write_sides(scored: Scored, where: Mapping[str, Any], folder: Path) -> None:
    """Write `sides.csv`, one row per training, test case and pair of sides; see `compare_sides`.

    Args:
        scored: what a plan has left.
        where: data, weights and device of its trainings, by dotted name; they are read from the cache of stages.
        folder: of the file and of the plan's records.

    Raises:
        InputError: no two classes are the sides of one organ.
        StageMissingError: a training is not in the cache, for example because it ran on another machine.
    """
    if not sided_pairs(list(scored.scores["class"].unique())):
        raise InputError(f"plan {scored.plan.name}: no two of its classes are the right and the left of one organ")
    records, keys, lines = read_records(folder, scored.trainings), dict[str, str](), list[dict[str, Any]]()
    with finished_only():
        for training in scored.trainings:
            stages = stages_of(training, records, where)
            keys[training.name] = stages.trained.segmentation.key
            lines += _lines(training, stages)
    settings = scored.trainings[0].settings({**where, "output": str(folder)})
    save_csv(pd.DataFrame(lines).round(4), "sides", settings, keys)


def compare_sides(predicted: np.ndarray, label: np.ndarray, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a row for each pair of sides: DSC of the two, DSC of both as one class, and how much changed sides.

    Args:
        predicted: classes of a volume [Z, H, W], at the network's size, 0 for the background.
        label: the same, as labeled.
        names: of the classes 1, 2, ...

    `exchanged` is the share of the labeled voxels of both that were given the other side. NaN where nothing is labeled.
    """
    for pair in sided_pairs(names):
        right, left = (list(names).index(name) + 1 for name in pair)
        pairs = [(predicted == side, label == side) for side in (right, left)]
        one = tuple(np.isin(volume, (right, left)) for volume in (predicted, label))
        other = ((label == right) & (predicted == left)) | ((label == left) & (predicted == right))
        yield {
            "sides": " and ".join(pair),
            "dsc": np.mean([_dice(*each) for each in pairs]),
            "dsc_as_one": _dice(*one),
            "exchanged": other.sum() / one[1].sum() if one[1].any() else np.nan,
        }


def _lines(training: Training, stages: Stages) -> Iterator[dict[str, Any]]:
    data, prepared = network_data(stages.settings, training.network), stages.prepared
    for case, rows in prepared.volumes("test").items():
        predicted = data.predict(stages.trained.model, np.asarray(rows)).cpu().numpy()
        for found in compare_sides(predicted, prepared.labels[rows], prepared.classes.names):
            yield {**training.labels, "seed": training.seed, "case_id": case, **found}


def _dice(predicted: np.ndarray, label: np.ndarray) -> float:
    total = predicted.sum() + label.sum()
    return float(2 * (predicted & label).sum() / total) if label.any() else float("nan")
