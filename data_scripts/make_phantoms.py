"""Write the cardiac phantom data set: `python data_scripts/make_phantoms.py TARGET --patients 30 --seed 0`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dainet.data.phantom import write_cardiac_phantoms

__all__ = ["main"]


def main(
    target: Annotated[Path, typer.Argument(help="Folder to write; made where missing.")],
    patients: Annotated[int, typer.Option(min=1, help="How many patients; groups cycle NOR, DCM, HCM, MINF, RV.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
) -> None:
    """Write cardiac phantoms in the raw folder layout of ACDC."""
    try:
        write_cardiac_phantoms(target, patients, seed)
    except FileExistsError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"{patients} phantom patients (seed {seed}) in {target / 'training'}")


if __name__ == "__main__":
    typer.run(main)
