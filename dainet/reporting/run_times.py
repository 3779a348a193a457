"""Where the time of a run went: one line per stage, with its speed next to that of large matrix products."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
import torch
from tabulate import tabulate

from dainet.cache.runs import finished_keys, lineage
from dainet.device import choose_device, hardware
from dainet.reporting.artifacts import save_table
from dainet.reporting.work import Record, product_rate, work_of
from dainet.settings import Settings

__all__ = ["run_times", "save_times", "stage_time"]

_WHAT = {
    "phantoms": "{dataset}, {patients} patients",
    "prepared": "{dataset}, {image_size} px",
    "dino": "epochs: {epochs}",
    "segmentation": "{model}, seed {seed}",
}
# What maps were made from: the name of the input -> what the table says.
_MADE_FROM = {
    "dino": "fine-tuned",
    "weights": "pre-trained",
    "random_like": "random weights",
    "maps": "maps of your own",
}
_FORMATS = {
    "Seconds": "{:.1f}",
    "Run (%)": "{:.1f}",
    "Images/s": "{:.1f}",
    "Floor (%)": "{:.2f}",
    "Peak (MiB)": "{:.0f}",
}
_NOTES = [
    "Seconds are wall time; a stage of which an earlier process had computed a part (resumed) has those of the last "
    "process, and no speed. Run (%) is their share of this run, of several notebooks at once that of all stages; a "
    "stage found finished took its time earlier and has none. The last line is the rest of the run: notebooks and "
    "their kernels, figures.",
    "Images went through a network: every training slice in every epoch, without those on which a training is "
    "monitored; for DINO every view counts; for maps all slices, for scores those of test patients.",
    "Floor (%): the time of the same floating-point operations as large matrix products, measured on this device at "
    "the end of the run in the same precision, divided by the seconds of the whole stage. A training has three times "
    "the operations of its forward passes. Empty for stages of other hardware and of several processes.",
    "Peak (MiB): tensors of the computing process on the GPU at their most; empty without a GPU, or with several.",
]


def run_times(keys: Sequence[str], earlier: Collection[str], seconds: float, settings: Settings) -> pd.DataFrame:
    """Compute one row for each stage of a run, in the order of their first use, and one for the rest of the time.

    Args:
        keys: of the stages that the run opened.
        earlier: keys of stages that were finished before it.
        seconds: wall time of the run so far.
        settings: of the run.

    Returns:
        Columns Stage, What, Computed ("now", "resumed", "earlier"; empty for the rest), and numbers: Seconds, Run (%),
        Images/s, Floor (%), Peak (MiB), as `_NOTES` describe them; NaN where one is unknown or has no meaning.
    """
    records, finished = lineage(keys), finished_keys()
    rows = [_row(key, records, key in earlier, settings) for key in keys if key in finished]
    now = [row for row in rows if row["Computed"] != "earlier"]
    computing = sum(row["Seconds"] or 0 for row in now)
    total = max(seconds, computing)  # another process may have begun a stage before this run
    rest = {"Stage": "rest", "What": "notebooks, figures", "Computed": "", "Seconds": total - computing}
    for row in (*now, rest):
        row["Run (%)"] = 100 * (row["Seconds"] or 0) / total
    table = pd.DataFrame([*rows, rest], columns=["Stage", "What", "Computed", *_FORMATS])
    return table.astype(dict.fromkeys(_FORMATS, float))


def save_times(keys: Sequence[str], earlier: Collection[str], seconds: float, settings: Settings) -> str:
    """Save the table of `run_times` as `times` in the output folder; return it as text for a terminal."""
    table = run_times(keys, earlier, seconds, settings)
    for column, form in _FORMATS.items():
        table[column] = [form.format(value) if value == value else "" for value in table[column]]
    save_table(table, "times", settings, {}, _NOTES)  # names no stage: pruning need not keep one for its time
    align = ("left",) * 3 + ("right",) * len(_FORMATS)
    return tabulate(table.to_dict("list"), headers="keys", disable_numparse=True, colalign=align)


def stage_time(key: str, seconds: float) -> str:
    """Describe a finished stage in one line, with its time and the share that this is of `seconds`."""
    records = lineage([key])
    took = records[key].get("seconds") or 0
    name = f"{records[key]['stage']} {key} ({_what(key, records)})"
    return f"{name}: {took:.1f} s, {100 * took / max(seconds, took):.0f} % of the run so far"


def _row(key: str, records: Mapping[str, Record], earlier: bool, settings: Settings) -> dict[str, Any]:
    record = records[key]
    resumed, seconds = record.get("resumed", False), record.get("seconds")
    row = {"Stage": record["stage"], "What": _what(key, records)}
    row |= {"Computed": "earlier" if earlier else "resumed" if resumed else "now"}
    row |= {"Seconds": seconds}
    if settings.n_processes == 1:  # of several, this one has only waited
        row["Peak (MiB)"] = record.get("peak_memory_mib")
    if resumed or not seconds or not (work := work_of(key, records, settings)):
        return row
    row["Images/s"] = work.images / seconds
    if settings.n_processes == 1 and _same_hardware(record):
        floor = work.operations / _rate(settings.device, record["settings"]["precision"])
        row["Floor (%)"] = 100 * floor / seconds
    return row


def _same_hardware(record: Record) -> bool:
    """Say whether a stage was computed on this hardware; beside a GPU, the number of threads does not matter."""
    here = hardware()
    ignored = {"threads"} if here["accelerator"] != "none" else set()
    return all(record.get(name) == value for name, value in here.items() if name not in ignored)


@cache
def _rate(device: str, precision: str) -> float:
    return product_rate(choose_device(device).torch_device, getattr(torch, precision))


def _what(key: str, records: Mapping[str, Record]) -> str:
    """Say which of all stages with its name a stage is."""
    stage, values, inputs = (records[key][name] for name in ("stage", "settings", "inputs"))
    if stage == "scores" and inputs["segmentation"] in records:
        return _what(inputs["segmentation"], records)
    if stage == "attention":
        return values.get("control") or next(name for part, name in _MADE_FROM.items() if part in inputs)
    return _WHAT.get(stage, "").format(**values)
