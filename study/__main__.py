"""The studies on real patients (docs/claims.md): `python -m study report`; `dainet compare run` trains them."""

from __future__ import annotations

from dainet.interrupts import watch_imports

if __name__ == "__main__":
    watch_imports()  # before those below, which take seconds

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from dainet.cache.folders import figures_folder
from dainet.compare.plan import read_plan
from dainet.compare.scores import Scored, read_scored
from dainet.errors import needs_extra
from dainet.options import Device, Set, Source, Weights, new_app, overrides, run_app
from dainet.places import output_path, repository_root
from dainet.reporting.artifacts import output_folder
from study.dino_course import course_settings, run_course
from study.evidence import EVIDENCE, write_evidence
from study.extremes import draw_extremes
from study.folds import PLANS
from study.next_report import is_ready, pooled_spread, read_ready, write_plan_report
from study.overview import Gain, Row, first_study_gains, first_study_rows
from study.pictures import draw_pictures
from study.placebo_report import write_placebo
from study.plan import load_more_seeds, load_plan
from study.rehearsal import NOTE, simulate_scores
from study.report import read_scores, write_report
from study.sides import write_sides

app = new_app(__doc__)
PlanName = Annotated[str, typer.Argument(help="a plan in study/plans, such as chaos")]
_FIRST = "acdc-study"  # the first study, whose comparisons stand in claims.yaml


def _first_folder() -> Path:
    """Return the folder of the first study, which is finished and committed: DAINET_FIGURES does not move it."""
    return repository_root() / "figures" / _FIRST


def _ready(name: str) -> tuple[Scored, Path]:
    """Return what a plan has left, and the folder of its results."""
    folder = figures_folder() / name
    return read_ready(read_plan(PLANS / f"{name}.yaml"), folder), folder


@app.command()
def pictures(source: Source = None, weights: Weights = None, device: Device = None) -> None:
    """Draw the pictures of the first study again and score its heads, from stages that are finished here."""
    folder = _first_folder()
    scores = read_scores(folder, load_plan()).query("policy == 'strict'")
    draw_pictures(overrides(None, source, weights, device), scores, folder)
    typer.echo(f"pictures and scores of heads: {folder}")


@app.command()
def extremes(name: PlanName, source: Source = None, weights: Weights = None, device: Device = None) -> None:
    """Draw the best and the worst case of both networks of a plan's first comparison, from stages finished here."""
    scored, folder = _ready(name)
    draw_extremes(scored, overrides(None, source, weights, device), folder)
    typer.echo(f"picture: {folder / 'extremes.png'}")


@app.command()
def sides(name: PlanName, source: Source = None, weights: Weights = None, device: Device = None) -> None:
    """Score organs that have a left and a right one also as one class, in all trainings, from stages finished here."""
    scored, folder = _ready(name)
    write_sides(scored, overrides(None, source, weights, device), folder)
    typer.echo(f"scores: {folder / 'sides.csv'}")


@app.command()
def spread(name: Annotated[str, typer.Argument(help="a plan in study/plans, such as near-paper")]) -> None:
    """Print how much trainings differ, pooled over the networks of a plan's first comparison, and no mean of any."""
    typer.echo(pooled_spread(read_scored(read_plan(PLANS / f"{name}.yaml"), figures_folder() / name)))


@app.command()
def report() -> None:
    """Write every table and chart again from the committed scores, also the tables in the report."""
    folder = _first_folder()
    typer.echo(f"tables and charts: {folder}; report: {write_report(folder)}")
    for name in sorted(path.stem for path in PLANS.glob("*.yaml") if path.stem != _FIRST):
        plan, folder = read_plan(PLANS / f"{name}.yaml"), figures_folder() / name
        if not is_ready(plan, folder):
            typer.echo(f"{name}: a wave that is to be read is not whole yet")
        else:
            write_plan_report(plan, folder, folder, _first_study())
            typer.echo(f"tables and charts: {folder}")


@app.command()
def typeset(output: Annotated[str, typer.Option(help="the PDF")] = "build/reproduction.pdf") -> None:
    """Typeset the report, docs/reproduction.md, as a PDF."""
    with needs_extra("study"):
        from study import typeset

        made = typeset.typeset(repository_root() / "docs" / "reproduction.md", output_path(output))
    typer.echo(f"report: {made}")


@app.command()
def dino_course(source: Source = None, weights: Weights = None, device: Device = None, set_: Set = None) -> None:
    """Fine-tune a ViT with DINO for 100 epochs, and score its heads every ten; resumes where it was stopped."""
    settings = course_settings(overrides(None, source, weights, device, set_))
    run_course(settings)
    typer.echo(f"scores, table and figures: {output_folder(settings)}")


@app.command()
def evidence() -> None:
    """Write the scores and claims that lesson 7 ships with the package from the committed scores of the first study."""
    write_evidence(_first_folder())
    typer.echo(f"scores and claims of lesson 7: {EVIDENCE}")


@app.command()
def rehearse() -> None:
    """Write every table and figure of the next studies from simulated scores, into figures/rehearsal."""
    for name in ("near-paper", "chaos"):
        plan, output = read_plan(PLANS / f"{name}.yaml"), figures_folder() / "rehearsal" / name
        with TemporaryDirectory() as simulated:
            simulate_scores(plan, Path(simulated))
            write_plan_report(plan, Path(simulated), output, _first_study(), NOTE)
        typer.echo(f"simulated tables and figures: {output}")


@app.command()
def placebo(
    rounds: Annotated[int, typer.Option(help="simulated studies of each design", min=1)] = 10_000,
    files: Annotated[int, typer.Option(help="of each design that goes through files", min=1)] = 250,
) -> None:
    """Write the test of tests, one function under two names compared many times, into figures/placebo."""
    output = figures_folder() / "placebo"
    write_placebo(output, rounds, files)
    typer.echo(f"figure and tables of the placebo: {output}")


def _first_study() -> tuple[list[Row], list[Gain]]:
    strict = read_scores(_first_folder(), load_plan() + load_more_seeds()).query("policy == 'strict'")
    return first_study_rows(strict), first_study_gains(strict)


if __name__ == "__main__":
    run_app(app)
