"""Scores of every test volume on its native grid (docs/protocol.md#1.5, #2.4)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from dainet.cache.store import StageResult, run_stage
from dainet.csv_files import read_csv
from dainet.data.prepared import Prepared
from dainet.data.preprocessing import resize_slices
from dainet.segmentation.metrics import score_volume
from dainet.segmentation.slices import SliceData

__all__ = [
    "SCORES",
    "class_dsc",
    "dsc_of_volumes",
    "native_dsc",
    "predict_native",
    "read_scores",
    "run_scores",
    "to_native",
    "volume_dsc",
]

_VERSION = 3
_CASE = ["case_id", "patient", "phase", "group", "spacing_z_mm", "spacing_y_mm", "spacing_x_mm"]
# The columns of numbers in the scores of a network.
SCORES = (
    *("dsc", "hd95_vox", "hd95_mm", "assd_mm", "surface_dice_2mm", "predicted_voxels", "labeled_voxels"),
    *("spacing_z_mm", "spacing_y_mm", "spacing_x_mm"),
)


def predict_native(model: nn.Module, data: SliceData, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Predict a volume slice by slice and bring the labels back to its native grid [D, H, W]."""
    return to_native(data.predict(model, rows), shape)


def to_native(prediction: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Resize labels [D, S, S] to [D, H, W] as scipy's zoom with order=0 (nearest neighbor), which the peers use."""
    return resize_slices(prediction.cpu().numpy(), (shape[1], shape[2]), order=0)


def volume_dsc(model: nn.Module, data: SliceData, volumes: Mapping[str, np.ndarray]) -> Tensor:
    """Compute DSC [V, N] per volume and foreground class at network size; NaN where both masks lack the class.

    Args:
        model: a network of this kit.
        data: its slices.
        volumes: case id -> row numbers, at least one; see `Prepared.volumes`.
    """
    return dsc_of_volumes(data.predict(model, np.concatenate(list(volumes.values()))), data, volumes)


def dsc_of_volumes(prediction: Tensor, data: SliceData, volumes: Mapping[str, np.ndarray]) -> Tensor:
    """Compute DSC [V, N] as `volume_dsc` of labels [n, S, S] predicted for the rows of all volumes in their order."""
    rows, lengths = np.concatenate(list(volumes.values())), [len(part) for part in volumes.values()]
    label = data.labels[torch.as_tensor(rows, device=data.labels.device)].split(lengths)
    classes = len(data.classes.names)
    return torch.stack([class_dsc(p, y, classes) for p, y in zip(prediction.split(lengths), label, strict=True)])


def class_dsc(prediction: Tensor, label: Tensor, classes: int) -> Tensor:
    """Compute DSC [N] of the labels 1 to `classes` over all pixels of two equal shapes; NaN where both lack it.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != label.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and label {tuple(label.shape)}; expected equal shapes")
    foreground = torch.arange(1, classes + 1, device=label.device)[:, None]
    p, y = prediction.flatten() == foreground, label.flatten() == foreground  # [N, pixels]
    return 2 * (p & y).sum(1) / (p.sum(1) + y.sum(1))


def run_scores(model: nn.Module, segmentation: StageResult, prepared: Prepared, data: SliceData) -> StageResult:
    """Score a trained network on every test volume, or return the finished scores; leaves `cases.csv`."""
    return run_stage(
        "scores",
        _VERSION,
        {"classes": list(prepared.classes.names), "precision": data.device.precision},
        {"segmentation": segmentation.key, "prepared": prepared.result.key},
        lambda folder: _write_scores(model, prepared, data, folder),
    )


def read_scores(result: StageResult) -> pd.DataFrame:
    """Read a network's scores: one line per case, class and policy with the columns of `_CASE` and `score_volume`."""
    return result.read("cases.csv", partial(read_csv, numbers=SCORES))


def native_dsc(model: nn.Module, prepared: Prepared, data: SliceData) -> pd.DataFrame:
    """Compute the DSC of every test case and class on the native grid: case_id, class, dsc_last_epoch (strict policy).

    For weights other than the chosen ones, of which distances are not wanted.
    """
    lines = []
    for case_id, rows in prepared.volumes("test").items():
        label = prepared.native_label(case_id)[0]
        prediction = predict_native(model, data, rows, label.shape)
        scores = class_dsc(torch.from_numpy(prediction), torch.from_numpy(label), len(prepared.classes.names)).tolist()
        lines += [(case_id, *line) for line in zip(prepared.classes.names, scores, strict=True)]
    return pd.DataFrame(lines, columns=["case_id", "class", "dsc_last_epoch"])


def _write_scores(model: nn.Module, prepared: Prepared, data: SliceData, folder: Path) -> None:
    """Score volumes in threads while the next ones are predicted; few are in memory at a time."""
    on_cpu = data.device.torch_device.type == "cpu"  # where predictions need the cores, too
    threads = torch.get_num_threads() if on_cpu else os.cpu_count() or 1
    lines, waiting = list[dict[str, Any]](), deque[Future[list[dict[str, Any]]]]()
    with ThreadPoolExecutor(threads) as pool:
        for case_id, rows in prepared.volumes("test").items():
            prediction = data.predict(model, rows).cpu()  # here, where the device is in use
            waiting.append(pool.submit(_score_case, prepared, case_id, rows[0], prediction))
            if len(waiting) > 2 * threads:
                lines += waiting.popleft().result()
        for job in waiting:
            lines += job.result()
    pd.DataFrame(lines).to_csv(folder / "cases.csv", index=False)


def _score_case(prepared: Prepared, case_id: str, row: int, prediction: Tensor) -> list[dict[str, Any]]:
    label, spacing_mm = prepared.native_label(case_id)
    native = to_native(prediction, label.shape)
    case = prepared.cases.loc[row, _CASE].to_dict()
    return [case | record for record in score_volume(native, label, prepared.classes.names, spacing_mm)]
