"""Scores of two more trainings of the tour: its tables stand on three seeds without three times the minutes."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from dainet import pipeline
from dainet.cache.records import hash_file, read_record, write_record
from dainet.csv_files import read_csv
from dainet.protocol import NETWORKS
from dainet.reporting.run_identity import other_settings, public_settings
from dainet.segmentation.evaluation import SCORES
from dainet.settings import Settings

__all__ = ["train_more_seeds", "with_more_seeds"]

_SEEDS = (1, 2)
_FOLDER = Path(__file__).with_name("tour_scores")


def with_more_seeds(scores: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Append the shipped scores of the same networks with other seeds; a run of other settings stays as it is.

    Args:
        scores: per case, as `dainet.pipeline.scores` gives.
        settings: those of the run; the shipped scores count only if they differ in nothing but the seeds.
    """
    record = _FOLDER / f"{settings.data.dataset}.json"
    if not record.is_file() or other_settings(read_record(record), _with_seeds(settings)):
        return scores
    shipped = read_csv(record.with_suffix(".csv"), numbers=[*SCORES, "seed"])
    missing = shipped["model"].isin(scores["model"]) & ~shipped["seed"].isin(scores["seed"])
    return pd.concat([scores, shipped[missing]], ignore_index=True)


def train_more_seeds(settings: Settings) -> Path:
    """Train the networks of the ablation with the shipped seeds and write their scores into the package, with a record.

    Takes twice as long as the trainings of notebooks 04 and 05 together.
    """
    settings = _with_seeds(settings)
    trained = [pipeline.train(settings, name, seed) for name in NETWORKS["ablation"] for seed in _SEEDS]
    stages = {f"{item.name} seed {item.seed}": item.segmentation.key for item in trained}
    with TemporaryDirectory() as folder:  # the package is not to have changed when the record says its state
        path = Path(folder) / f"{settings.data.dataset}.csv"
        pipeline.scores(trained).round(6).to_csv(path, index=False)
        made_by = {"settings": public_settings(settings), "stages": stages, "files": {path.name: hash_file(path)}}
        write_record(path.with_suffix(".json"), {"file": path.stem, **made_by})
        _FOLDER.mkdir(exist_ok=True)
        for made in (path, path.with_suffix(".json")):
            shutil.move(made, _FOLDER / made.name)
    return _FOLDER / path.name


def _with_seeds(settings: Settings) -> Settings:
    segmentation = settings.segmentation.model_copy(update={"seeds": _SEEDS})
    return settings.model_copy(update={"segmentation": segmentation})
