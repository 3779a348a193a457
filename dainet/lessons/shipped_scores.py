"""Scores of trainings that come with the kit: a run with the same settings shows them without training again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from dainet import pipeline
from dainet.cache.records import hash_file, read_record, write_record
from dainet.csv_files import read_csv
from dainet.reporting.run_identity import other_settings, public_settings
from dainet.segmentation.evaluation import SCORES
from dainet.settings import Settings

__all__ = ["read_shipped", "ship"]

_FOLDER = Path(__file__).with_name("tour_scores")


def read_shipped(name: str, settings: Settings, seeds: Sequence[int]) -> pd.DataFrame | None:
    """Read the shipped scores of this name, per case as `dainet.pipeline.scores` gives them.

    Returns None if there are none, or if these settings differ from theirs in anything but the seeds of the networks.
    """
    record = _FOLDER / f"{name}.json"
    if not record.is_file() or other_settings(read_record(record), _with_seeds(settings, seeds)):
        return None
    return read_csv(record.with_suffix(".csv"), numbers=[*SCORES, "seed"])


def ship(name: str, settings: Settings, networks: Sequence[str], seeds: Sequence[int]) -> Path:
    """Train networks with these seeds and write their scores into the package, with a record next to them."""
    settings = _with_seeds(settings, seeds)
    trained = [pipeline.train(settings, network, seed) for network in networks for seed in seeds]
    stages = {f"{item.name} seed {item.seed}": item.segmentation.key for item in trained}
    with TemporaryDirectory() as folder:  # the package is not to have changed when the record says its state
        path = Path(folder) / f"{name}.csv"
        pipeline.scores(trained).round(6).to_csv(path, index=False)
        made_by = {"settings": public_settings(settings), "stages": stages, "files": {path.name: hash_file(path)}}
        write_record(path.with_suffix(".json"), {"file": path.stem, **made_by})
        _FOLDER.mkdir(exist_ok=True)
        for made in (path, path.with_suffix(".json")):
            shutil.move(made, _FOLDER / made.name)
    return _FOLDER / path.name


def _with_seeds(settings: Settings, seeds: Sequence[int]) -> Settings:
    segmentation = settings.segmentation.model_copy(update={"seeds": tuple(seeds)})
    return settings.model_copy(update={"segmentation": segmentation})
