"""Write phantoms in the raw layout of a data set: `python data_scripts/make_phantoms.py TARGET --dataset synapse`."""

from __future__ import annotations

from dainet.interrupts import watch_imports

if __name__ == "__main__":
    watch_imports()  # before those below, which take seconds

from pathlib import Path
from typing import Annotated, Literal

import typer

from dainet.data.phantoms.abdomen import write_abdomen_phantoms
from dainet.data.phantoms.cardiac import write_cardiac_phantoms
from dainet.options import new_app, run_app
from dainet.settings import SEEDS

__all__ = ["main"]

app = new_app(__doc__)


@app.command()
def main(
    target: Annotated[Path, typer.Argument(help="Folder to write; created if missing.")],
    dataset: Annotated[Literal["acdc", "synapse"], typer.Option(help="Cardiac MR, or abdominal CT.")] = "acdc",
    patients: Annotated[int, typer.Option(min=1, help="How many patients; 30 at most for synapse.")] = 30,
    seed: Annotated[int, typer.Option(min=0, max=SEEDS - 1, help="The same seed gives the same bytes.")] = 0,
    size: Annotated[int, typer.Option(min=32, help="Rows and columns in px, for synapse; real ones have 512.")] = 128,
) -> None:
    """Write phantoms in the raw folder layout of ACDC or of Synapse (BTCV)."""
    if dataset == "acdc":
        write_cardiac_phantoms(target, patients, seed)
    else:
        write_abdomen_phantoms(target, patients, seed, size)
    typer.echo(f"{patients} phantom patients of {dataset} (seed {seed}) in {target}")


if __name__ == "__main__":
    run_app(app)
