"""`python -m benchmarks` (or `make bench`): measure everything, print it, and write it to benchmarks/results/."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from benchmarks import attention, batches, dino_step, explorer, networks, preparation, scaling, scores, training_step
from benchmarks.timing import Comparison
from dainet.cache.records import provenance
from dainet.device import choose_device
from dainet.errors import unknown
from dainet.options import new_app, run_app

_PARTS = ("rows", "networks", "explorer", "scaling")
_RESULTS = Path(__file__).parent / "results"

app = new_app(__doc__)


@app.command()
def main(
    weights: Annotated[str, typer.Option(help="ViT of the first rows, as vit.weights; random = ViT-S/16")] = "random",
    only: Annotated[str, typer.Option(help=f"parts to measure, such as {','.join(_PARTS[:2])}; default all")] = "",
) -> None:
    """Measure the parts and write one table for each; this takes about half an hour on 2 cores."""
    _RESULTS.mkdir(exist_ok=True)
    chosen = only.split(",") if only else _PARTS
    for part in chosen:
        if part not in _PARTS:
            raise unknown("part", part, _PARTS)
    if "rows" in chosen:
        _write("rows", _as_lines(_rows(weights)), {"weights": Path(weights).name})
    if "networks" in chosen:
        _write("networks", _printed(networks.cost_table()).round(2), {})
    if "explorer" in chosen:
        _write("explorer", _printed(explorer.answer_table()).round(0), {})
    if "scaling" in chosen:
        _write("storage", scaling.storage_table(), {})
        points = scaling.curves()
        _write("scaling", points.round(2), {})
        scaling.scaling_figure(points).savefig(_RESULTS / "scaling.png", dpi=100, metadata={"Software": None})


def _rows(weights: str) -> Iterator[Comparison]:
    yield from attention.comparisons(weights)
    yield from dino_step.comparisons(weights)
    yield from training_step.comparisons()
    yield from batches.comparisons()
    yield from scores.comparisons()
    yield from preparation.comparisons()


def _as_lines(rows: Iterable[Comparison]) -> pd.DataFrame:
    return _printed(
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


def _printed(lines: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Print every row as soon as it is measured, because the whole takes half an hour."""
    found = []
    for line in lines:
        typer.echo("\n".join(f"{name}: {line[name].item()}" for name in line) + "\n")
        found.append(line)
    return pd.concat(found, ignore_index=True)


def _write(name: str, table: pd.DataFrame, settings: dict[str, str]) -> None:
    markdown = table.to_markdown(index=False, disable_numparse=True)
    typer.echo(markdown + "\n")
    (_RESULTS / f"{name}.md").write_text(markdown + "\n", encoding="utf-8")
    table.to_csv(_RESULTS / f"{name}.csv", index=False)
    device = {"dtype": str(choose_device("cpu").autocast_dtype)}
    record = settings | device | provenance()
    (_RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(app)
