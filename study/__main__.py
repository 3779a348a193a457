"""The study on real patients (docs/reproduction.md): `python -m study run` and `python -m study report`."""

from __future__ import annotations

import typer

from dainet.options import Device, Source, Weights, new_app, overrides, run_app
from study.pictures import draw_pictures
from study.plan import load_more_seeds, load_plan
from study.queue import run_queue, study_folder
from study.report import read_scores, write_report

app = new_app(__doc__)


@app.command()
def run(source: Source = None, weights: Weights = None, device: Device = None) -> None:
    """Run the trainings that are missing; start this command twice to use two cores."""
    where, folder = overrides("acdc", source, weights, device), study_folder()
    count = run_queue(load_plan() + load_more_seeds(), where, folder)
    draw_pictures(where, read_scores(folder, load_plan()).query("policy == 'strict'"), folder)
    typer.echo(f"ran {count} trainings; scores and pictures: {folder}; tables: python -m study report")


@app.command()
def report() -> None:
    """Write every table and chart again from the committed scores, also the tables in the report."""
    typer.echo(f"tables and charts: {study_folder()}; report: {write_report(study_folder())}")


if __name__ == "__main__":
    run_app(app)
