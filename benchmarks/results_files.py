"""Tables of measurements as files of benchmarks/results/, each with a record of what measured it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path

import pandas as pd
import typer

from dainet.cache.records import provenance
from dainet.device import Device, choose_device

__all__ = ["RESULTS", "growing", "printed", "write_table"]

RESULTS = Path(__file__).parent / "results"


def growing(lines: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Yield the table so far after every row, because the whole takes long and may be cut off."""
    return accumulate(lines, lambda table, line: pd.concat([table, line], ignore_index=True))


def printed(lines: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Print every row as soon as it is measured, because the whole takes long; return all."""
    found = []
    for line in lines:
        typer.echo("\n".join(f"{name}: {line[name].item()}" for name in line) + "\n")
        found.append(line)
    return pd.concat(found, ignore_index=True)


def write_table(name: str, table: pd.DataFrame, settings: dict[str, str], device: Device | None = None) -> None:
    """Write a table as Markdown and CSV, and its record as JSON."""
    markdown = table.to_markdown(index=False, disable_numparse=True)
    typer.echo(markdown + "\n")
    (RESULTS / f"{name}.md").write_text(markdown + "\n", encoding="utf-8")
    table.to_csv(RESULTS / f"{name}.csv", index=False)
    dtype = {"dtype": str((device or choose_device("cpu")).autocast_dtype)}
    record = settings | dtype | provenance()
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
