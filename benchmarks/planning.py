"""docs/planning.md, from the estimates of what the paper profile costs.

python -m benchmarks.planning          # estimates anew in minutes, writes results/planning.csv and docs/planning.md
python -m benchmarks.planning page     # the page alone, from the estimates that are there
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import torch

from benchmarks.costs import (
    CHECKED,
    CONTEXT_GIB,
    DATA,
    FRAGMENTATION,
    GIB,
    GPUS,
    MAP_BYTES,
    PAPER,
    UTILISATION,
    Gpu,
    Stage,
    chosen,
    estimates,
    flops_of,
    peaks_of,
    stages,
)
from benchmarks.dino_memory import measured_gib

__all__ = ["page"]

_HERE = Path(__file__).parent


def page(lines: pd.DataFrame, record: dict) -> str:
    """The planning page from the lines of `benchmarks.costs.estimates` and from planning.json."""
    template = (_HERE / "planning_template.md").read_text(encoding="utf-8")
    return template.format(
        torch=record["torch"],
        dino_epochs=PAPER.dino.epochs,
        epochs=PAPER.segmentation.epochs,
        dino_batch=PAPER.dino.batch_size,
        batch=PAPER.segmentation.batch_size,
        bf16_share=f"{100 * UTILISATION[True]:.0f} %",
        float_share=f"{100 * UTILISATION[False]:.0f} %",
        context=f"{CONTEXT_GIB:.0f} GiB",
        fragmentation=f"{100 * (FRAGMENTATION - 1):.0f} %",
        slices=_markdown(_slice_table()),
        gpus=_markdown(_gpu_table()),
        stages=_markdown(_stage_table(lines)),
        hours=_markdown(_hours_table(lines)),
        study=_markdown(_study_table(lines)),
        vit_size=PAPER.vit.image_size,
        growing=_markdown(_growing_table(lines)),
        batches=_markdown(_batch_table(lines)),
        memory_check=_markdown(_memory_check(lines, record)),
        time_check=_markdown(_time_check(lines)),
    )


def _slice_table() -> pd.DataFrame:
    return pd.DataFrame(
        {"Data": data.title, "Training": data.train, "Validation": data.valid, "Test": data.test}
        for data in DATA.values()
    )


def _gpu_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "GPU": [gpu.name for gpu in GPUS],
            "Memory (GB)": [gpu.memory_gib for gpu in GPUS],
            "TFLOP/s": [gpu.tflops for gpu in GPUS],
            "Precision": ["bfloat16" if gpu.bfloat16 else "float32" for gpu in GPUS],
            "Source": [gpu.source for gpu in GPUS],
        }
    )


def _stage_table(lines: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Data": DATA[dataset].title,
            "Stage": stage.title,
            "PFLOP": f"{stage.flops / 1e15:.3g}",
            "Memory, bfloat16 (GiB)": f"{stage.needs_gib(True):.1f}",
            "Memory, float32 (GiB)": f"{stage.needs_gib(False):.1f}",
        }
        for dataset in DATA
        for stage in stages(lines, dataset)
    )


def _hours_table(lines: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {"Data": DATA[dataset].title, "Stage": stage.title} | {gpu.name: _shown([stage], gpu) for gpu in GPUS}
        for dataset in DATA
        for stage in stages(lines, dataset)
    )


def _study_table(lines: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for seeds in (3, 5):
        whole: list[Stage] = []
        for dataset, data in DATA.items():
            once, repeated = stages(lines, dataset)[:2], stages(lines, dataset)[2:]
            part = once + seeds * repeated
            whole += part
            rows.append({"Seeds": seeds, "Data": data.title} | {gpu.name: _shown(part, gpu) for gpu in GPUS})
        rows.append({"Seeds": seeds, "Data": "all three tables"} | {gpu.name: _shown(whole, gpu) for gpu in GPUS})
    return pd.DataFrame(rows)


def _growing_table(lines: pd.DataFrame) -> pd.DataFrame:
    dino, pixels = flops_of(lines, "dino") / PAPER.dino.batch_size, PAPER.vit.image_size**2
    maps = flops_of(lines, "extraction") / 64
    rows = []
    for title, count in (("200 thousand", 2e5), ("a million", 1e6), ("100 million", 1e8)):
        stored = {"Images (GB)": 2 * pixels, "Labels (GB)": pixels, "Maps (GB)": MAP_BYTES}
        row = {"Slices": title} | {name: f"{count * size / 1e9:,.1f}" for name, size in stored.items()}
        for work, flops in (("DINO", dino), ("maps", maps)):
            part = Stage(work, count * flops, {True: 0, False: 0}, 0)
            row |= {f"{work}, {gpu.name} (h)": _rounded(part.hours(gpu)) for gpu in GPUS[-2:]}
        rows.append(row)
    return pd.DataFrame(rows)


def _shown(stages: list[Stage], gpu: Gpu) -> str:
    """Hours, in brackets where a stage does not fit at the paper's batch."""
    hours = _rounded(sum(stage.hours(gpu) for stage in stages))
    fits = all(stage.needs_gib(gpu.bfloat16) <= gpu.memory_gib for stage in stages)
    return hours if fits else f"({hours})"


def _rounded(hours: float) -> str:
    if hours < 0.01:
        return "< 0.01"
    return f"{hours:.2g}" if hours < 10 else f"{hours:.0f}"


def _batch_table(lines: pd.DataFrame) -> pd.DataFrame:
    by_title = {stage.title: stage for stage in stages(lines, "acdc")}
    return pd.DataFrame(
        {"Training": f"{name}, {'bfloat16' if half else 'float32'}"}
        | {f"{memory} GB": _largest_batch(lines, by_title[name], memory, half) for memory in (8, 16, 24, 80)}
        for name in ("DINO", "unet", "dual-1111")
        for half in (True, False)
    )


def _largest_batch(lines: pd.DataFrame, stage: Stage, memory_gib: int, bfloat16: bool) -> int:
    """On the line through the paper's batch and half of it."""
    work = chosen(lines, stage.title.lower(), 0 if stage.title == "DINO" else 4, bfloat16).sort_values("batch")
    (low, high), (less, more) = work["batch"], work["peak_bytes"]
    slope = (more - less) / (high - low)
    room = (memory_gib - CONTEXT_GIB) / FRAGMENTATION * GIB - stage.data
    return max(int((room - (less - slope * low)) / slope), 0)


def _memory_check(lines: pd.DataFrame, record: dict) -> pd.DataFrame:
    networks = _measured("networks").set_index("Network")["Peak memory of training (GiB)"]
    half = _record("networks")["dtype"] == str(torch.bfloat16)
    found = [(name, peaks_of(lines, f"{name}, without Adam", 9)[half], networks[CHECKED[name]]) for name in CHECKED]
    dino = int(chosen(lines, "dino, checked", 0, True)["peak_bytes"].item())
    found += [(name, dino, gib) for name, gib in record["dino_gib"].items()]
    return pd.DataFrame(
        {
            "Step": name,
            "Estimated (GiB)": f"{size / GIB:.2f}",
            "Measured (GiB)": f"{gib:.2f}",
            "Off by": f"{100 * (size / GIB / gib - 1):+.1f} %",
        }
        for name, size, gib in found
    )


def _time_check(lines: pd.DataFrame) -> pd.DataFrame:
    """Ratios of the times of two works, so that the speed of the processor does not enter."""
    speed = _measured("networks").set_index("Network")["Training (images/s)"]
    seconds = _measured("rows").set_index("What")["Ours (s)"]
    dual, unet = (flops_of(lines, f"{name}, without Adam", 9) for name in ("dual-1111", "unet"))
    training, dino = "training step, dual-1111, width 64, 224 px, batch 4", "DINO step, 2 + 8 views, batch 16"
    networks = "dual-1111 / unet, training", dual / unet, speed[CHECKED["unet"]] / speed[CHECKED["dual-1111"]]
    stages = f"{dino} / {training}", flops_of(lines, "dino, checked") / dual, seconds[dino] / seconds[training]
    return pd.DataFrame(
        {"Times": what, "By operations": f"{a:.2f}", "Measured": f"{b:.2f}", "Off by": f"{100 * (a / b - 1):+.1f} %"}
        for what, a, b in (networks, stages)
    )


def _measured(name: str) -> pd.DataFrame:
    return pd.read_csv(_HERE / "results" / f"{name}.csv")


def _record(name: str) -> dict:
    return json.loads((_HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))


def _markdown(table: pd.DataFrame) -> str:
    return table.to_markdown(index=False, disable_numparse=True)


def main(page_only: bool) -> None:
    """Write the estimates unless they are wanted as they are, then the page."""
    if not page_only:
        pd.DataFrame(estimates()).to_csv(_HERE / "results" / "planning.csv", index=False)
        dino_gib = {"DINO": measured_gib(False), "DINO, freed memory given back at once": measured_gib(True)}
        record = json.dumps({"torch": torch.__version__.split("+")[0], "dino_gib": dino_gib}, indent=1)
        (_HERE / "results" / "planning.json").write_text(record + "\n", encoding="utf-8")
    text = page(_measured("planning"), _record("planning"))
    (_HERE.parent / "docs" / "planning.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(page_only=sys.argv[1:] == ["page"])
