"""Check a data set, or prepare it: `python data_scripts/prepare.py check --dataset acdc --source DIR`."""

from __future__ import annotations

from dainet.interrupts import watch_imports

if __name__ == "__main__":
    watch_imports()  # before those below, which take seconds

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from dainet.cache.folders import runs_folder
from dainet.data.check import Report, check_source, report_text
from dainet.data.prepared import run_prepared
from dainet.data.sources import evenly_spaced
from dainet.options import Dataset, Set, Source, new_app, overrides, run_app
from dainet.reporting.artifacts import record_files
from dainet.reporting.figures import slice_montage
from dainet.settings import Settings, load_settings

app = new_app(__doc__)
_PICTURES = 48  # on the contact sheet, evenly spaced over the cases


@app.command()
def check(
    dataset: Dataset = None,
    source: Source = None,
    set_: Set = None,
    output: Annotated[Path | None, typer.Option(help="folder for cases.csv and sheet.png; default runs/check")] = None,
) -> None:
    """Read every case once and report what is there, missing or wrong; exits with 1 if a fault would spoil a run."""
    settings = _settings(dataset, source, set_)
    folder = output or runs_folder() / "check"
    folder.mkdir(parents=True, exist_ok=True)  # before the minutes that reading takes
    report = check_source(settings.data)
    typer.echo(report_text(report))
    table, sheet = folder / "cases.csv", folder / "sheet.png"
    report.cases.to_csv(table, index=False)
    sheet.unlink(missing_ok=True)  # of an earlier check
    if report.pictures:
        _draw_sheet(report, sheet)
        typer.echo(f"table and pictures: {folder}")
    record_files(folder / "check.json", [path for path in (table, sheet) if path.is_file()], settings, {})
    raise typer.Exit(1 if report.problems else 0)


@app.command()
def store(
    dataset: Dataset = None,
    source: Source = None,
    set_: Set = None,
    size: Annotated[int, typer.Option(min=16, max=4096, help="side of the prepared slices in px")] = 224,
) -> None:
    """Write the prepared store and print the patients, volumes and slices of each part of the split."""
    prepared = run_prepared(_settings(dataset, source, set_).data, size)
    counts = prepared.cases.groupby("split").agg(
        patients=("patient", "nunique"), volumes=("case_id", "nunique"), slices=("slice", "size")
    )
    typer.echo(counts.to_string())
    typer.echo(f"prepared store: {prepared.result.path}")


def _settings(dataset: str | None, source: str | None, items: list[str] | None) -> Settings:
    return load_settings("paper", overrides(dataset, source, items=items))


def _draw_sheet(report: Report, path: Path) -> None:
    pictures = evenly_spaced(report.pictures, min(_PICTURES, len(report.pictures)))
    images, labels = (np.stack([getattr(picture, name) for picture in pictures]) for name in ("image", "label"))
    titles = [picture.case_id for picture in pictures]
    slice_montage(images, labels, report.classes.names, report.classes.colors, titles, columns=8).savefig(path, dpi=120)


if __name__ == "__main__":
    run_app(app)
