"""Growth of time and memory: extraction, a training epoch and evaluation of 1, 2, 4, 8 and 16 times the data.

python -m benchmarks.scaling extraction 4    # one point of the curves, in its own process
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from benchmarks.data import PAPER_SIZE
from benchmarks.timing import PeakMemory, apart
from dainet import pipeline
from dainet.attention.stage import open_attention, run_attention
from dainet.cache.store import StageResult
from dainet.data.prepared import Prepared
from dainet.device import choose_device
from dainet.reporting.charts import new_figure
from dainet.reporting.costs import seconds
from dainet.segmentation.catalog import build
from dainet.segmentation.evaluation import run_scores
from dainet.segmentation.slices import SliceData
from dainet.segmentation.step import adam, train_epoch, training_step
from dainet.vit.model import load_vit

__all__ = ["TIMES", "curves", "scaling_figure", "storage_table"]

TIMES = (1, 2, 4, 8, 16)
_WIDTH = 8
_DEVICE = choose_device("cpu")


def curves() -> pd.DataFrame:
    """Measure the columns stage, times, slices, seconds, memory_mib (peak above the loaded libraries and the data)."""
    return pd.DataFrame([apart("benchmarks.scaling", stage, times) for stage in _STAGES for times in TIMES])


def storage_table() -> pd.DataFrame:
    """Compute bytes on disk per slice of 224 px, and those that its maps would take at that size."""
    prepared = pipeline.prepare(PAPER_SIZE)
    maps, _ = open_attention(pipeline.attention(PAPER_SIZE))
    kept = {"image": prepared.images, "label": prepared.labels, "maps on the token grid": maps}
    sizes = {what: array.nbytes // len(array) for what, array in kept.items()}
    sizes["(maps at network size)"] = maps.shape[1] * prepared.images[0].size * maps.itemsize
    return pd.DataFrame({"Stored": list(sizes), "Bytes per slice": list(sizes.values())})


def scaling_figure(points: pd.DataFrame) -> Figure:
    """Plot seconds and memory against the number of slices."""
    figure = new_figure(9, 3.4)
    panels = figure.subplots(1, 2)
    for stage, line in points.groupby("stage", sort=False):
        panels[0].plot(line["slices"], line["seconds"], "o-", label=stage)
        panels[1].plot(line["slices"], line["memory_mib"], "o-", label=stage)
    panels[0].set(xlabel="slices", ylabel="seconds", xlim=0, ylim=0)
    panels[1].set(xlabel="slices", ylabel="peak memory (MiB)", xlim=0, ylim=0)
    panels[0].legend(frameon=False)
    return figure


def _extraction(prepared: Prepared) -> None:
    run_attention(PAPER_SIZE, prepared, load_vit("tour"), "pretrained", {}, _DEVICE)


def _training(prepared: Prepared) -> None:
    data, model = SliceData(prepared, None, PAPER_SIZE.attention, _DEVICE), _network()
    settings = PAPER_SIZE.segmentation
    optimizer = adam(model, settings, _DEVICE)
    step = training_step(model, data, settings, optimizer)
    train_epoch(step, optimizer, data, np.arange(len(data.images)), settings, seed=0, epoch=0)


def _evaluation(prepared: Prepared) -> None:
    run_scores(_network(), prepared.result, prepared, SliceData(prepared, None, PAPER_SIZE.attention, _DEVICE))


def _network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build("unet", width=_WIDTH).to(memory_format=_DEVICE.memory_format)


_STAGES: dict[str, Callable[[Prepared], None]] = {
    "extraction": _extraction,
    "training epoch": _training,
    "evaluation": _evaluation,
}


def _repeated(prepared: Prepared, times: int, folder: Path) -> Prepared:
    """Repeat the test patients of a prepared store `times` under other names, mapped from disk like any other."""
    rows = prepared.rows("test")
    (folder / "native").mkdir(parents=True)
    for name in ("images", "labels"):
        shape = (times * len(rows), *prepared.images.shape[1:])
        file = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", getattr(prepared, name).dtype, shape)
        for copy in range(times):
            file[copy * len(rows) : (copy + 1) * len(rows)] = getattr(prepared, name)[rows]
    parts = []
    for copy in range(times):
        part = prepared.cases.loc[rows].copy()
        for case_id in part["case_id"].unique():
            source = prepared.result.path / "native" / f"{case_id}.npz"
            (folder / "native" / f"{case_id}_{copy}.npz").symlink_to(source)
        parts.append(part.assign(case_id=part["case_id"] + f"_{copy}"))
    images, labels = (np.load(folder / f"{name}.npy", mmap_mode="c") for name in ("images", "labels"))
    result = StageResult("prepared", f"{folder.name} {times}", folder)  # a key that the warm-up did not use
    return Prepared(result, images, labels, pd.concat(parts, ignore_index=True), prepared.classes, prepared.about)


def _point(stage: str, times: int) -> dict:
    prepared = pipeline.prepare(PAPER_SIZE)
    with tempfile.TemporaryDirectory() as folder, patch.dict("os.environ", DAINET_RUNS=f"{folder}/runs"):
        _STAGES[stage](_repeated(prepared, 1, Path(folder, "warm-up")))
        data = _repeated(prepared, times, Path(folder, "data"))
        with PeakMemory() as peak:
            elapsed = seconds(lambda: _STAGES[stage](data))
    slices = {"stage": stage, "times": times, "slices": len(data.images)}
    return slices | {"seconds": elapsed, "memory_mib": peak.mib}


if __name__ == "__main__":
    print(json.dumps(_point(sys.argv[1], int(sys.argv[2]))))
