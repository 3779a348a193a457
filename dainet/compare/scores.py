"""The scores of a plan's trainings, wave by wave, as the analysis takes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from dainet.compare.folds import person_names
from dainet.compare.plan import Plan, Training
from dainet.csv_files import read_csv
from dainet.errors import InputError
from dainet.segmentation.evaluation import SCORES

__all__ = ["Scored", "finished_waves", "first_missing", "fold_scores", "read_scored", "with_values"]


@dataclass(frozen=True)
class Scored:
    """What the whole waves of a plan have left.

    `scores` holds one line per test case and class (strict policy), `histories` one line per epoch, both with the
    columns model, fold and seed. Scans that look like one person are one patient (see `dainet.compare.folds`). The
    first `waves` of the plan's waves are whole; trainings beyond them are not looked at.
    """

    plan: Plan
    waves: int
    trainings: tuple[Training, ...]
    scores: pd.DataFrame
    histories: pd.DataFrame


def finished_waves(plan: Plan, folder: Path) -> int:
    """Count the waves of a plan, from the first one on, of which every training has left its scores."""
    for number in range(len(plan.waves)):
        if _missing(_wave(plan, number), folder):
            return number
    return len(plan.waves)


def first_missing(plan: Plan, folder: Path) -> str:
    """Return the name of the first training without scores; empty where all have some."""
    missing = _missing(plan.trainings(), folder)
    return missing[0].name if missing else ""


def read_scored(plan: Plan, folder: Path) -> Scored:
    """Read the scores of all trainings of whole waves (see `dainet.compare.queue`).

    Raises:
        InputError: not even the first wave is whole; the message counts what is there.
    """
    waves = finished_waves(plan, folder)
    if not waves:
        wave = _wave(plan, 0)
        done = len(wave) - len(_missing(wave, folder))
        raise InputError(
            f"plan {plan.name}: {done} of the {len(wave)} trainings of the first wave have scores in {folder.name}; "
            f"{first_missing(plan, folder)} is the first that is missing; only whole waves are read"
        )
    trainings = [training for number in range(waves) for training in _wave(plan, number)]
    scores = _read(folder / "scores", trainings, [*SCORES, "dsc_last_epoch"])
    scores["patient"] = scores["patient"].replace(person_names(plan.split(1)))
    histories = _read(folder / "histories", trainings, "all")
    return Scored(plan, waves, tuple(trainings), scores[scores["policy"] == "strict"], histories)


def fold_scores(scores: pd.DataFrame, model: str, column: str = "dsc") -> list[np.ndarray]:
    """Return a network's scores per fold, [seeds, patients]: means over what a patient has, DSC in points.

    Patients are in the order of their ids. One for whom a training has no value, such as where neither label nor
    prediction shows an organ, is left out; to compare two networks, take the patients of both (`with_values`).

    Raises:
        InputError: the network has no scores, or its trainings were not scored on the same patients.
    """
    chosen = scores[scores["model"] == model]
    if chosen.empty:
        raise InputError(f"there are no scores of {model}; found those of {', '.join(sorted(set(scores['model'])))}")
    factor = 100 if column.startswith("dsc") else 1
    cells = [part.groupby(["seed", "patient"])[column] for _, part in chosen.groupby("fold")]
    if any(cell.size().unstack("patient").isna().any(axis=None) for cell in cells):
        raise InputError(f"{model}: the seeds of a fold were not scored on the same patients")
    return [factor * cell.mean().unstack("patient").dropna(axis=1).to_numpy() for cell in cells]


def with_values(scores: pd.DataFrame, models: Iterable[str], column: str = "dsc") -> pd.DataFrame:
    """Return the scores of some networks for the patients of whom each of their trainings has a value."""
    own = scores[scores["model"].isin(list(models))]
    means = own.groupby(["model", "fold", "seed", "patient"])[column].mean()
    return own[~own["patient"].isin(means.index[means.isna()].get_level_values("patient"))]


def _wave(plan: Plan, number: int) -> list[Training]:
    return plan.model_copy(update={"waves": plan.waves[number : number + 1]}).trainings()


def _missing(trainings: Sequence[Training], folder: Path) -> list[Training]:
    return [each for each in trainings if not (folder / "scores" / f"{each.name}.csv").is_file()]


def _read(folder: Path, trainings: Sequence[Training], numbers: Collection[str] | Literal["all"]) -> pd.DataFrame:
    parts = [
        read_csv(folder / f"{each.name}.csv", numbers).assign(
            **(dict(each.labels) | {"fold": each.fold, "seed": each.seed})
        )
        for each in trainings
    ]
    return pd.concat(parts, ignore_index=True)
