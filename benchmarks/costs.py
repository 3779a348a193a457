"""What every stage of the paper profile costs on a GPU: operations, memory and hours, estimated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from benchmarks.estimates import Estimate, dino_step, extraction, inference, training_step
from dainet.protocol import CLASSES, published_table
from dainet.settings import Settings, load_settings

__all__ = [
    *(
        "CHECKED",
        "CHECKED_DINO",
        "CONTEXT_GIB",
        "DATA",
        "FRAGMENTATION",
        "GIB",
        "GPUS",
        "MAP_BYTES",
        "PAPER",
        "UTILISATION",
    ),
    *("Gpu", "Stage", "chosen", "estimates", "flops_of", "networks", "peaks_of", "stages"),
]

PAPER: Settings = load_settings("paper")
_TOKENS = (PAPER.vit.image_size // 16) ** 2
_HEADS = 6
MAP_BYTES = 2 * _HEADS * _TOKENS  # float16 on the token grid, of one slice
GIB = 2**30

# Networks whose speed and memory were measured, and their names in benchmarks/results/networks.md.
CHECKED = {"dual-1111": "dual-1111 (width 64)", "unet": "U-Net (width 64)", "single": "single encoder (width 64)"}

# The fine-tuning step that was timed, benchmarks/results/rows.md.
CHECKED_DINO = PAPER.dino.model_copy(update={"batch_size": 16, "global_size": 224})

# Of the operations that the data sheet promises; assumed, not measured. Tensor cores starve sooner than plain float32.
UTILISATION = {True: 0.3, False: 0.6}
CONTEXT_GIB, FRAGMENTATION = 1.0, 1.1  # of a process on a GPU, and of its allocator; assumed


@dataclass(frozen=True)
class Gpu:
    """Memory, dense TFLOP/s in the precision that this kit uses on it (bfloat16, else float32), and the source."""

    name: str
    memory_gib: int
    tflops: float
    bfloat16: bool
    source: str


GPUS = (
    Gpu("RTX 3070", 8, 40.6, True, "NVIDIA Ampere GA102 whitepaper, appendix A"),
    Gpu("T4", 16, 8.1, False, "NVIDIA T4 datasheet, single precision"),
    Gpu("RTX 4090", 24, 165.2, True, "NVIDIA Ada whitepaper, appendix A"),
    Gpu("A100 80 GB", 80, 312, True, "NVIDIA A100 datasheet"),
    Gpu("H100 SXM", 80, 989.4, True, "NVIDIA H100 datasheet, half of the number with sparsity"),
)


@dataclass(frozen=True)
class Slices:
    """Slices of a data set by split (docs/protocol.md), and the paper's tables that are made from it."""

    title: str
    train: int
    valid: int
    test: int
    tables: tuple[str, ...]

    @property
    def total(self) -> int:
        return self.train + self.valid + self.test


# Synapse: all 18 training volumes of the paper, none of them kept for validation.
DATA = {
    "acdc": Slices("ACDC (Tables 2 and 3)", 1304, 182, 416, ("table2", "table3")),
    "synapse": Slices("Synapse (Table 1)", 2211, 0, 1568, ("table1",)),
}


def networks(dataset: str) -> list[str]:
    """The networks of this kit in the paper's tables of a data set, each once."""
    names = pd.concat([published_table(dataset, table)["model"] for table in DATA[dataset].tables])
    return sorted(set(names[names != ""]), key=lambda name: (name.startswith("dual"), name))


def estimates() -> Iterator[dict]:
    """Lines work, classes, batch, bfloat16, flops, peak_bytes, each of one step."""
    segmentation, dino = PAPER.segmentation, PAPER.dino
    batch = segmentation.batch_size
    yield _line("dino, checked", 0, CHECKED_DINO.batch_size, True, dino_step(CHECKED_DINO))
    for half in (True, False):
        for size in (dino.batch_size, dino.batch_size // 2):
            yield _line("dino", 0, size, half, dino_step(dino.model_copy(update={"batch_size": size}), half))
        yield _line("extraction", 0, 64, half, extraction(PAPER.vit.image_size, 64, half))
        for dataset in DATA:
            classes = len(CLASSES[dataset].names) + 1
            for name in networks(dataset):
                yield _line(name, classes, batch, half, training_step(name, classes, segmentation, half))
                smaller = segmentation.model_copy(update={"batch_size": batch // 2})
                yield _line(name, classes, batch // 2, half, training_step(name, classes, smaller, half))
                yield _line(f"{name}, predicting", classes, 32, half, inference(name, classes, segmentation, 32, half))
    for name in CHECKED:
        settings = segmentation.model_copy(update={"batch_size": 4})
        for half in (True, False):
            step = training_step(name, 9, settings, half, optimized=False)
            yield _line(f"{name}, without Adam", 9, 4, half, step)


@dataclass(frozen=True)
class Stage:
    """Operations of a whole stage; bytes that its largest step needs, and that its data take, at the paper's batch."""

    title: str
    flops: float
    peak: dict[bool, int]
    data: int

    def needs_gib(self, bfloat16: bool) -> float:
        """Memory of the GPU, with what is assumed for process and allocator."""
        return (self.peak[bfloat16] + self.data) / GIB * FRAGMENTATION + CONTEXT_GIB

    def hours(self, gpu: Gpu) -> float:
        """At the assumed utilisation."""
        return self.flops / (gpu.tflops * 1e12 * UTILISATION[gpu.bfloat16]) / 3600


def stages(lines: pd.DataFrame, dataset: str) -> list[Stage]:
    """DINO, extraction, then every network with one seed and all its epochs."""
    data, dino, segmentation = DATA[dataset], PAPER.dino, PAPER.segmentation
    classes = len(CLASSES[dataset].names) + 1
    steps = dino.epochs * (data.train // dino.batch_size)
    size = segmentation.image_size
    kept = data.total * (3 * size**2 + MAP_BYTES)  # image float16, label uint8, maps
    found = [
        Stage("DINO", steps * flops_of(lines, "dino"), peaks_of(lines, "dino"), 0),
        Stage("extraction", data.total * flops_of(lines, "extraction") / 64, peaks_of(lines, "extraction"), 0),
    ]
    for name in networks(dataset):
        trained = segmentation.epochs * data.train * flops_of(lines, name, classes) / segmentation.batch_size
        seen = segmentation.epochs * data.valid + data.test
        predicted = seen * flops_of(lines, f"{name}, predicting", classes) / 32
        found.append(Stage(name, trained + predicted, peaks_of(lines, name, classes), kept))
    return found


def chosen(lines: pd.DataFrame, work: str, classes: int, bfloat16: bool) -> pd.DataFrame:
    """The lines of one kind of step, one per batch."""
    return lines[(lines["work"] == work) & (lines["classes"] == classes) & (lines["bfloat16"] == bfloat16)]


def flops_of(lines: pd.DataFrame, work: str, classes: int = 0) -> int:
    """Of one step at the largest batch; the same in every precision."""
    return int(chosen(lines, work, classes, True)["flops"].max())


def peaks_of(lines: pd.DataFrame, work: str, classes: int = 0) -> dict[bool, int]:
    """Bytes of one step at the largest batch, by whether it computes in bfloat16."""
    return {half: int(chosen(lines, work, classes, half)["peak_bytes"].max()) for half in (True, False)}


def _line(work: str, classes: int, batch: int, bfloat16: bool, estimate: Estimate) -> dict:
    values = {"work": work, "classes": classes, "batch": batch, "bfloat16": bfloat16}
    return values | {"flops": estimate.flops, "peak_bytes": estimate.peak_bytes}
