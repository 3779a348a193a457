"""One picture of a plan: the best and the worst test case of both networks of its first comparison (docs/claims.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dainet import pipeline
from dainet.cache.store import finished_only
from dainet.compare.comparisons import lenders
from dainet.compare.facts import read_records
from dainet.compare.plan import Training
from dainet.compare.scores import Scored
from dainet.data.prepared import Prepared
from dainet.data.volume import fullest_slice
from dainet.reporting.artifacts import save_figure
from dainet.reporting.figures import qualitative_figure
from dainet.settings import Settings

__all__ = ["Stages", "draw_extremes", "extremes", "stages_of"]


class Stages(NamedTuple):
    """What a training of a plan has left in the cache, its data, and its settings."""

    settings: Settings
    trained: pipeline.Trained
    prepared: Prepared


class _Shown(NamedTuple):
    """The fullest slice of a case: image, label and prediction [H, W], the DSC of the volume, and of which training."""

    image: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    dsc: float
    name: str
    key: str


def draw_extremes(scored: Scored, where: Mapping[str, Any], folder: Path) -> None:
    """Write `extremes`: of every case its fullest slice, labeled and predicted, with the volume's DSC below.

    Predictions and their DSC are those of one training per network, the first seed of the case's fold; cases are
    chosen by means over seeds.

    Args:
        scored: what a plan has left.
        where: data, weights and device of those trainings, by dotted name; they are read from the cache of stages.
        folder: of the figure and of the plan's records.

    Raises:
        StageMissingError: a training is not in the cache, for example because it ran on another machine.
    """
    names = lenders(scored)[::-1]  # the baseline first
    cases = extremes(scored.scores, names)
    folds = scored.scores.drop_duplicates("case_id").set_index("case_id")["fold"]
    trainings = {(each.model, each.fold): each for each in reversed(scored.trainings)}  # the first seed remains
    records = read_records(folder, scored.trainings)
    with finished_only():
        shown = {name: [_show(trainings[name, folds[case]], records, where, case) for case in cases] for name in names}
    settings = scored.trainings[0].settings({**where, "output": str(folder)})
    classes, first = pipeline.prepare(settings).classes, shown[names[0]]
    figure = qualitative_figure(
        [each.image for each in first],
        [each.label for each in first],
        {name: [each.predicted for each in column] for name, column in shown.items()},
        classes.names,
        classes.colors,
        [f"{title}\n{case}" for case, title in cases.items()],
        {name: [each.dsc for each in column] for name, column in shown.items()},
    )
    save_figure(figure, "extremes", settings, {each.name: each.key for column in shown.values() for each in column})


def extremes(scores: pd.DataFrame, models: Sequence[str]) -> dict[str, str]:
    """Choose the best and the worst case of each network by its mean DSC over seeds: case id -> "best of unet"."""
    chosen: dict[str, list[str]] = {}
    for word, last in (("best", True), ("worst", False)):
        for model in models:
            means = scores[scores["model"] == model].groupby("case_id")["dsc"].mean()
            chosen.setdefault(str(means.idxmax() if last else means.idxmin()), []).append(f"{word} of {model}")
    return {case: "\n".join(titles) for case, titles in chosen.items()}


def stages_of(training: Training, records: Mapping[str, Any], where: Mapping[str, Any]) -> Stages:
    """Read a training from the cache, or within `finished_only` raise StageMissingError.

    Args:
        training: of a plan.
        records: of the plan's trainings, by name; they tell which one was repeated with another seed.
        where: data, weights and device, by dotted name.
    """
    settings, repeated = training.settings(where), records.get(training.name, {}).get("repeated", {})
    seed = repeated.get("with_seed", training.seed)  # of a training whose loss was not finite at first
    return Stages(settings, pipeline.train(settings, training.network, seed), pipeline.prepare(settings))


def _show(training: Training, records: Mapping[str, Any], where: Mapping[str, Any], case: str) -> _Shown:
    settings, trained, prepared = stages_of(training, records, where)
    rows = prepared.volumes("test")[case]
    row = rows[fullest_slice(prepared.labels[rows])]
    predicted = pipeline.network_data(settings, training.network).predict(trained.model, np.array([row]))[0]
    dsc = trained.cases.query("policy == 'strict'").groupby("case_id")["dsc"].mean()[case]
    image, label = prepared.images[row].astype(float), prepared.labels[row]
    return _Shown(image, label, predicted.cpu().numpy(), dsc, training.name, trained.segmentation.key)
