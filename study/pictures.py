"""Figures 1 and 3 of the study and the scores of the heads: the parts that need the scans and the trained networks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from dainet import pipeline
from dainet.attention.controls import center_map
from dainet.attention.head_scores import head_scores
from dainet.attention.maps import network_maps
from dainet.attention.stage import open_attention
from dainet.cache.records import read_record
from dainet.cache.store import StageMissingError, finished_only
from dainet.csv_files import read_csv
from dainet.data.prepared import Prepared
from dainet.data.volume import fullest_slice
from dainet.reporting.artifacts import save_csv, save_figure
from dainet.reporting.figures import attention_figure, qualitative_figure
from dainet.settings import Settings
from study.plan import PATIENTS, first_trainings
from study.tables import HEADS

__all__ = ["draw_pictures", "extreme_cases", "score_controls"]

log = logging.getLogger(__name__)
_COMPARED = ("unet", "single", "dual-1111")
_KINDS = {"random": "random weights", "pretrained": "pre-trained", "finetuned": "fine-tuned"}


def draw_pictures(where: Mapping[str, Any], scores: pd.DataFrame, folder: Path) -> None:
    """Write figure1_KIND, figure3_qualitative, `heads.csv` and `head_controls.csv` as far as finished stages allow.

    Nothing is trained. Files whose stages are missing stay as they are.

    Args:
        where: data, weights and device, by dotted name.
        scores: scores per case, strict policy, by which the cases of Figure 3 are chosen.
        folder: the study's scores, tables and figures.
    """
    output = {"output": str(folder)}
    plan = first_trainings()
    settings = plan["dual-1111"].settings({**where, **output})
    prepared, heads, stages = pipeline.prepare(settings), _stored_heads(folder), {}
    for kind, title in _KINDS.items():
        try:
            with finished_only():
                _attention_figure(settings, prepared, kind)
                heads[title] = pipeline.score_heads(settings, kind).assign(weights=title)
                stages[f"attention {kind}"] = pipeline.attention(settings, kind).key
        except StageMissingError as missing:
            log.warning("figure1_%s is left out: %s", kind, missing)
    if stages:
        table = pd.concat([heads[title] for title in _KINDS.values() if title in heads])
        save_csv(table.round(6), "heads", settings, _stored_stages(folder) | stages)
        controls, made_from = score_controls(prepared), {"prepared": prepared.result.key}
        save_csv(controls.round(6), "head_controls", settings, made_from)
    try:
        with finished_only():
            _qualitative_figure({name: plan[name].settings({**where, **output}) for name in _COMPARED}, scores)
    except StageMissingError as missing:
        log.warning("figure3_qualitative is left out: %s", missing)


def score_controls(prepared: Prepared) -> pd.DataFrame:
    """Score two maps that no network made on the test slices: the center of the slice, and its brightness.

    Returns:
        Columns as in `dainet.attention.head_scores.head_scores`, and the control's name in `weights`.
    """
    rows = prepared.rows("test")
    labels = prepared.labels[rows]
    center = center_map(labels.shape[-1])[None]  # [1, H, W]
    controls = {"center of the slice": [center] * len(rows), "brightness of the slice": prepared.images[rows][:, None]}
    names = prepared.classes.names
    return pd.concat([head_scores(maps, labels, names).assign(weights=name) for name, maps in controls.items()])


def extreme_cases(scores: pd.DataFrame, model: str) -> dict[str, str]:
    """Choose the best, median and worst test case of a network by its mean DSC over seeds: title -> case id."""
    chosen = scores[(scores["model"] == model) & (scores["train_patients"] == PATIENTS)]
    means = chosen.groupby("case_id")["dsc"].mean().sort_values(ascending=False)
    return {"best": means.index[0], "median": means.index[len(means) // 2], "worst": means.index[-1]}


def _stored_heads(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the scores of heads that an earlier call left: kind of weights -> rows."""
    path = folder / "heads.csv"
    return dict(iter(read_csv(path, numbers=HEADS).groupby("weights"))) if path.is_file() else {}


def _stored_stages(folder: Path) -> dict[str, str]:
    """Read the stages behind these scores from their record."""
    path = folder / "heads.json"
    return read_record(path)["stages"] if path.is_file() else {}


def _attention_figure(settings: Settings, prepared: Prepared, kind: str) -> None:
    stage = pipeline.attention(settings, kind)
    stored, grid = open_attention(stage)
    rows = prepared.example_rows("test", 3)
    maps = network_maps(torch.tensor(stored[rows]), prepared.images.shape[-1], settings.attention, grid.vit_size_px)
    names = [str(prepared.cases.loc[row, "case_id"]) for row in rows]
    images, classes = prepared.images[rows].astype(float), prepared.classes
    figure = attention_figure(images, prepared.labels[rows], maps.numpy(), classes.names, classes.colors, names)
    save_figure(figure, f"figure1_{kind}", settings, {"attention": stage.key, "prepared": prepared.result.key})


def _qualitative_figure(settings: Mapping[str, Settings], scores: pd.DataFrame) -> None:
    """Draw the fullest slice of each case, predicted by every network's first seed, with the volume's DSC."""
    chosen, prepared = extreme_cases(scores, "dual-1111"), pipeline.prepare(settings["unet"])
    volumes = prepared.volumes("test")
    rows = np.array([volumes[case][fullest_slice(prepared.labels[volumes[case]])] for case in chosen.values()])
    predictions, volume_scores, stages = {}, {}, {}
    for name, own in settings.items():
        trained = pipeline.train(own, name, seed=0)
        predictions[name] = list(pipeline.network_data(own, name).predict(trained.model, rows).cpu().numpy())
        strict = trained.cases[trained.cases["policy"] == "strict"].groupby("case_id")["dsc"].mean()
        volume_scores[name] = [float(strict[case]) for case in chosen.values()]
        stages[f"segmentation {name} seed 0"] = trained.segmentation.key
    names = [f"{title}\n{case}" for title, case in chosen.items()]
    images, classes = list(prepared.images[rows].astype(float)), prepared.classes
    figure = qualitative_figure(
        images, list(prepared.labels[rows]), predictions, classes.names, classes.colors, names, volume_scores
    )
    save_figure(figure, "figure3_qualitative", settings["dual-1111"], stages)
