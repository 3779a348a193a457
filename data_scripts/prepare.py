"""Prepare a data set and say what is in it: `python data_scripts/prepare.py --source DIR --size 224`."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from dainet.data.prepared import run_prepared
from dainet.settings import load_settings


def main(
    source: Annotated[str, typer.Option(help='"phantom", or the folder with the scans')] = "phantom",
    size: Annotated[int, typer.Option(help="side of the prepared slices in px")] = 224,
    split: Annotated[str, typer.Option(help="a split by name, or a CSV file (patient,split)")] = "mtunet",
) -> None:
    """Write the prepared store and print patients, volumes and slices of every split."""
    settings = load_settings("paper", {"data.source": source, "data.split": split})
    prepared = run_prepared(settings.data, size)
    counts = prepared.cases.groupby("split").agg(
        patients=("patient", "nunique"), volumes=("case_id", "nunique"), slices=("slice", "size")
    )
    typer.echo(counts.to_string())
    typer.echo(f"prepared store: {prepared.result.path}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        typer.run(main)
    except (ValueError, OSError) as error:
        sys.exit(f"prepare: {error}")
