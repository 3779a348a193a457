"""The facts of a card: what a finished training was trained on, and how well it scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dainet.data.prepared import Prepared
from dainet.data.sources import Source, open_source
from dainet.inference.card import PARTS, Score
from dainet.inference.licenses import CITATIONS
from dainet.pipeline import Trained
from dainet.reporting.run_identity import public_settings
from dainet.reporting.statistics import patient_means, seeded_interval
from dainet.segmentation.outside import outside_label
from dainet.settings import Settings

__all__ = ["data_facts", "scores", "training_facts"]

_SPACING = ["spacing_z_mm", "spacing_y_mm", "spacing_x_mm"]


def data_facts(settings: Settings, prepared: Prepared) -> dict[str, Any]:
    """Collect what a card says about the data of a training."""
    source, phantoms = open_source(settings.data), settings.data.source == "phantom"
    patients = {part: _patients(prepared, part) for part in PARTS}
    return {
        "dataset": settings.data.dataset,
        "format": source.format.name,
        "phantoms": phantoms,
        "citation": "" if phantoms else CITATIONS.get(settings.data.dataset, ""),
        "split": prepared.about["split"],
        "patients": patients,
        "class_names": prepared.classes.names,
        "class_colors": tuple(color.lower() for color in prepared.classes.colors),
        "is_ct": source.is_ct,
        "normalization": prepared.about["normalization"],
        "orientation": _orientation(source, patients["train"], phantoms),
        "spacing_mm": _spacing_range(prepared),
    }


def training_facts(settings: Settings, trained: Trained) -> dict[str, Any]:
    """Collect what a card says about the training itself; settings name files and folders without their paths."""
    record = trained.segmentation.record()
    return {
        "network": outside_label(trained.name),
        "source_sha256": record["settings"].get("source"),
        "loss_sha256": record["settings"].get("loss_source"),
        "seed": trained.seed,
        "settings": Settings.model_validate(public_settings(settings) | {"device": "auto"}),
        "precision": record["settings"]["precision"],
        "stages": {**record["inputs"], "segmentation": trained.segmentation.key, "scores": trained.scored.key},
    }


def scores(cases: pd.DataFrame, network: str, class_names: Sequence[str]) -> tuple[Score, ...]:
    """Compute the DSC of every class, and their "mean", on the test patients, in percent with a 95 % interval.

    A patient's value is the mean over phases (and classes), by the strict policy for empty masks; the bootstrap
    resamples patients. A single patient has no interval.

    Args:
        cases: scores of one training per case, see `dainet.pipeline.scores`.
        network: its name.
        class_names: the classes.
    """
    strict = cases[cases["policy"] == "strict"]
    return tuple(
        _score(name, patient_means(strict, network, "dsc", name).to_numpy()) for name in (*class_names, "mean")
    )


def _score(name: str, values: np.ndarray) -> Score:
    """Compute the score of values [1, patients], of which some may be NaN."""
    known = np.count_nonzero(~np.isnan(values))
    low, high = seeded_interval(values, np.zeros_like(values)) if known > 1 else (None, None)
    numbers = (float(np.nanmean(values)) if known else None, low, high)
    dsc, low, high = (None if number is None else round(number, 2) for number in numbers)
    return Score(name=name, dsc=dsc, low=low, high=high)


def _orientation(source: Source, train: Sequence[str], phantoms: bool) -> str:
    """Return where columns, rows and slices of the first training case point; empty where its file does not say.

    The affine of a format whose reader does not follow it proves nothing: that of ACDC has lost the plane of the heart.
    """
    if not (source.format.turned or phantoms):
        return ""
    return source.read(next(case for case in source.cases if case.patient in train)).view


def _patients(prepared: Prepared, part: str) -> tuple[str, ...]:
    chosen = prepared.cases.loc[prepared.cases["split"] == part, "patient"]
    return tuple(sorted(map(str, chosen.unique())))


def _spacing_range(prepared: Prepared) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return the lowest and the highest spacing (z, y, x) of the training patients; None if one of them has none."""
    spacing = prepared.cases.loc[prepared.cases["split"] == "train", _SPACING].to_numpy(dtype=np.float64)
    if not np.isfinite(spacing).all():
        return None
    low, high = (tuple(np.round(edges, 4).tolist()) for edges in (spacing.min(axis=0), spacing.max(axis=0)))
    return low, high
