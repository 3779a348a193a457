"""`python -m benchmarks` (or `make bench`): measure everything, print it, and write it to benchmarks/results/."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from benchmarks import (
    attention,
    batches,
    dino_step,
    explorer,
    gpu,
    networks,
    preparation,
    scaling,
    scores,
    training_step,
)
from benchmarks.results_files import RESULTS, printed, write_table
from benchmarks.timing import Comparison
from dainet.device import choose_device
from dainet.errors import unknown
from dainet.options import new_app, run_app

_PARTS = ("rows", "networks", "explorer", "scaling")

app = new_app(__doc__)


@app.command()
def main(
    weights: Annotated[str, typer.Option(help="ViT of the first rows, as vit.weights; random = ViT-S/16")] = "random",
    only: Annotated[str, typer.Option(help=f"parts to measure, such as {','.join(_PARTS[:2])}; default all")] = "",
    device: Annotated[str, typer.Option(help="cpu, or cuda for steps and networks on a GPU")] = "cpu",
) -> None:
    """Measure the parts and write one table for each; this takes about half an hour on 2 cores."""
    RESULTS.mkdir(exist_ok=True)
    if device != "cpu":
        gpu.measure(choose_device(device))
        return
    chosen = only.split(",") if only else _PARTS
    for part in chosen:
        if part not in _PARTS:
            raise unknown("part", part, _PARTS)
    if "rows" in chosen:
        write_table("rows", _as_lines(_rows(weights)), {"weights": Path(weights).name})
    if "networks" in chosen:
        write_table("networks-counts", networks.count_table().round(2), {})
        write_table("networks", printed(networks.cost_table(choose_device("cpu"))).round(2), {})
    if "explorer" in chosen:
        write_table("explorer", printed(explorer.answer_table()).round(0), {})
    if "scaling" in chosen:
        write_table("storage", scaling.storage_table(), {})
        points = scaling.curves()
        write_table("scaling", points.round(2), {})
        scaling.scaling_figure(points).savefig(RESULTS / "scaling.png", dpi=100, metadata={"Software": None})


def _rows(weights: str) -> Iterator[Comparison]:
    yield from attention.comparisons(weights)
    yield from dino_step.comparisons(weights)
    yield from training_step.comparisons()
    yield from batches.comparisons()
    yield from scores.comparisons()
    yield from preparation.comparisons()


def _as_lines(rows: Iterable[Comparison]) -> pd.DataFrame:
    return printed(
        pd.DataFrame(
            {
                "What": [row.what],
                "Against": [row.against],
                "Ours (s)": [f"{row.ours:.3g}"],
                "Peer (s)": [f"{row.peer:.3g}"],
                "Ratio": [f"{row.ratio:.3g}"],
                "Goal": [f"{row.goal:g}"],
                "Of the limit": ["" if row.limit is None else f"{100 * row.limit / row.ours:.0f} %"],
                "Same result": [row.agreement],
            }
        )
        for row in rows
    )


if __name__ == "__main__":
    run_app(app)
