"""What DINO fine-tuning does to the heads: their AUROC and IoU every few epochs (docs/claims.md, "Fine-tuning")."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from dainet import pipeline
from dainet.attention.head_scores import head_scores
from dainet.attention.maps import network_maps, resize_maps
from dainet.attention.stage import open_attention
from dainet.cache.folders import figures_folder
from dainet.cache.records import hash_file, provenance, read_record
from dainet.compare.analysis import Difference, patient_difference, verdict
from dainet.compare.plan import read_plan
from dainet.csv_files import read_csv
from dainet.data.prepared import Prepared
from dainet.dino.training import teacher_file
from dainet.errors import InputError
from dainet.reporting.artifacts import output_folder, save_csv, save_figure, save_table
from dainet.reporting.charts import label_axes, new_figure
from dainet.reporting.figures import attention_figure
from dainet.reporting.run_identity import public_settings
from dainet.reporting.style import in_style
from dainet.settings import Settings
from study.folds import PLANS

__all__ = ["MARGIN", "best_head_scores", "course_figure", "course_settings", "course_table", "run_course"]

NAME = "dino-course"
MARGIN = 0.01  # of equivalence, in AUROC; registered
_EPOCHS, _EVERY = 100, 10
_NUMBERS = ("head", "auroc", "iou", "slices")
_MEASURES = {"auroc": "AUROC", "iou": "IoU"}
_NOTES = [
    "ACDC, fold 1 (the paper's split); mean over six heads and three classes of a patient, then over test patients; "
    "95 % intervals over patients of one fine-tuning, so another one may differ by more.",
    "Best heads: for each class the one with the highest AUROC on validation patients at that epoch, on test patients.",
    "Data: ACDC (Bernard et al., 2018), CC BY-NC-SA 4.0.",
]


def course_settings(where: Mapping[str, Any]) -> Settings:
    """Return the settings of the near-paper study's first fold with a fine-tuning that keeps teachers on its way.

    Args:
        where: data, weights and device by dotted name, and any other setting that differs, as in a trial.
    """
    training = next(each for each in read_plan(PLANS / "near-paper.yaml").trainings() if each.model == "dual-1111")
    course = {"output": str(figures_folder() / NAME), "dino.epochs": _EPOCHS, "dino.keep_every": _EVERY}
    return training.settings({**course, **where})


def run_course(settings: Settings) -> pd.DataFrame:
    """Fine-tune, score every kept teacher, and write scores, table and figures; what an earlier run has left is read.

    Returns:
        One row per epoch (0 = the weights as they come), split (valid, test), patient, head and class: auroc, iou and
        slices as `dainet.attention.head_scores.head_scores` gives them.
    """
    dino = pipeline.finetune(settings)
    teachers = {epoch: str(dino.path / teacher_file(epoch)) for epoch in _kept(settings)}
    course = {epoch: _with_weights(settings, path) for epoch, path in ({0: settings.vit.weights} | teachers).items()}
    prepared = pipeline.prepare(settings)
    scores = pd.concat([_scores_after(epoch, own, prepared) for epoch, own in course.items()])
    stages = {"dino": dino.key, "prepared": prepared.result.key}
    save_csv(scores.round(6), "scores", settings, stages)
    table = course_table(scores)
    save_table(table, "table_course", settings, stages, [*_NOTES, _verdict_note(scores)])
    save_figure(course_figure(scores), "course", settings, stages)
    save_figure(_maps_figure([course[0], course[max(course)]], prepared), "maps", settings, stages)
    return scores


def course_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per epoch as text: AUROC and IoU with intervals, their change from epoch 0, and the best heads."""
    best, lines = best_head_scores(scores), []
    values = {measure: _by_patient(scores, measure) for measure in _MEASURES}
    for epoch in values["auroc"].columns:
        line = {"Epoch": str(epoch)}
        for measure, title in _MEASURES.items():
            line[title] = _with_interval(_mean(values[measure][epoch]))
            change = _change(values[measure], epoch)
            line[f"Change of {title}"] = _with_interval(change, "+") if epoch else "-"
        lines.append(line | {"Best heads, AUROC": f"{best.loc[epoch, 'auroc']:.3f}"})
    return pd.DataFrame(lines)


def best_head_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Return AUROC and IoU of the best heads per epoch on test patients, chosen per class on validation patients."""
    means = scores[scores["class"] != "any"].groupby(["split", "epoch", "class", "head"])[["auroc", "iou"]].mean()
    chosen = means.loc["valid"].groupby(["epoch", "class"])["auroc"].idxmax()
    return means.loc["test"].loc[chosen].groupby("epoch").mean()


@in_style
def course_figure(scores: pd.DataFrame) -> Figure:
    """Plot AUROC and IoU over the epochs: all heads with a band of 95 % over patients, and the best heads."""
    alt = "AUROC and IoU of attention heads over the epochs of fine-tuning, mean of all heads with intervals, and best"
    figure, best = new_figure(8.5, 3.4, alt), best_head_scores(scores)
    for panel, (measure, title) in zip(figure.subplots(1, 2), _MEASURES.items(), strict=True):
        values = _by_patient(scores, measure)
        ends = [_mean(values[epoch]).interval() for epoch in values.columns]
        panel.plot(values.columns, values.mean(), "o-", color="#0072b2", label="mean of all heads")
        panel.fill_between(values.columns, *zip(*ends, strict=True), color="#0072b2", alpha=0.2, linewidth=0)
        panel.plot(best.index, best[measure], "s--", color="#d55e00", label="best heads")
        label_axes(panel, "Epochs of fine-tuning", title)
    figure.axes[0].legend(frameon=False, fontsize=9)
    return figure


def _kept(settings: Settings) -> range:
    every = settings.dino.keep_every
    return range(every, settings.dino.epochs + 1, every)


def _with_weights(settings: Settings, weights: str) -> Settings:
    own = {
        "vit": settings.vit.model_copy(update={"weights": weights}),
        "attention": settings.attention.model_copy(update={"backbone": "pretrained"}),
    }
    return settings.model_copy(update=own)


def _scores_after(epoch: int, settings: Settings, prepared: Prepared) -> pd.DataFrame:
    """Return the scores after an epoch; they are written at once, because the next one may be interrupted."""
    stages = {"attention": pipeline.attention(settings).key, "prepared": prepared.result.key}
    path = output_folder(settings) / f"scores_epoch{epoch:03d}.csv"
    if not _is_there(path, settings, stages):
        save_csv(_patient_scores(settings, prepared).round(6), path.stem, settings, stages)
    return read_csv(path, numbers=_NUMBERS).assign(epoch=epoch)


def _is_there(path: Path, settings: Settings, stages: Mapping[str, str]) -> bool:
    """Whether a table is there, whole, of the same settings, stages (that of maps knows the weights) and commit."""
    try:
        record, files = read_record(path.with_suffix(".json")), {path.name: hash_file(path)}
    except (InputError, FileNotFoundError):
        return False
    expected = {"settings": public_settings(settings), "stages": stages, "files": files, "git": provenance()["git"]}
    return all(record.get(name) == value for name, value in expected.items())


def _patient_scores(settings: Settings, prepared: Prepared) -> pd.DataFrame:
    """Score the heads on each validation and test patient, at the networks' size and not rescaled."""
    stored, grid = open_attention(pipeline.attention(settings))
    size = prepared.images.shape[-1]

    def scored(patient: tuple[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
        (split, name), lines = patient
        rows = lines.index.to_numpy()
        maps = resize_maps(torch.tensor(stored[rows]), size, settings.attention.resize, grid.vit_size_px)
        own = head_scores(maps.numpy(), prepared.labels[rows], prepared.classes.names)
        return own.assign(split=split, patient=name)

    chosen = prepared.cases[prepared.cases["split"].isin(("valid", "test"))]
    with ThreadPoolExecutor() as pool:  # sorting pixels takes nearly all of the time and lets other threads run
        return pd.concat(pool.map(scored, chosen.groupby(["split", "patient"])), ignore_index=True)


def _by_patient(scores: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the mean over heads and classes [test patients, epochs]; a class that a patient lacks is left out."""
    chosen = scores[(scores["split"] == "test") & (scores["class"] != "any")]
    return chosen.groupby(["patient", "epoch"])[measure].mean().unstack("epoch")


def _mean(values: pd.Series) -> Difference:
    column = values.to_numpy()[None]
    return patient_difference(column, np.zeros_like(column))


def _change(values: pd.DataFrame, epoch: int) -> Difference:
    return patient_difference(values[epoch].to_numpy()[None], values[0].to_numpy()[None])


def _with_interval(found: Difference, sign: str = "") -> str:
    low, high = found.interval()
    return f"{found.estimate:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _verdict_note(scores: pd.DataFrame) -> str:
    values = _by_patient(scores, "auroc")
    last = values.columns.max()
    word = verdict(_change(values, last), MARGIN)
    return f"Claim that fine-tuning helps (AUROC at epoch {last} above that at epoch 0; margin {MARGIN}): {word}."


def _maps_figure(ends: list[Settings], prepared: Prepared) -> Figure:
    """Draw the maps of three test slices, chosen by rule, before and after fine-tuning, one above the other."""
    rows, size = prepared.example_rows("test", 3), prepared.images.shape[-1]
    parts = []
    for settings in ends:
        stored, grid = open_attention(pipeline.attention(settings))
        parts.append(network_maps(torch.tensor(stored[rows]), size, settings.attention, grid.vit_size_px).numpy())
    maps = np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])  # before, after, before ...
    both = rows.repeat(2)
    cases = prepared.cases["case_id"][both]
    names = [f"{case}\n{when}" for case, when in zip(cases, ("before", "after") * len(rows), strict=True)]
    images, classes = prepared.images[both].astype(float), prepared.classes
    return attention_figure(images, prepared.labels[both], maps, classes.names, classes.colors, names)
