"""The commands that compare networks by a plan; slow imports stand inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dainet.options import Dataset, Device, Profile, Set, Source, Weights, new_app, overrides

__all__ = ["app"]

app = new_app("Is my gain real? Networks compared over patients and trainings, by a plan (docs/compare.md).")


@app.command()
def plan(
    networks: Annotated[
        list[str], typer.Argument(help="yours first, then its baseline: NETWORK, or LABEL=NETWORK,SETTING=VALUE")
    ],
    dataset: Dataset = None,
    source: Source = None,
    profile: Profile = "tour",
    weights: Weights = None,
    device: Device = None,
    set_: Set = None,
    folds: Annotated[int, typer.Option(min=1, help="every patient is tested in one of them; 1: the own split")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="trainings of each network in every fold")] = 3,
    margin: Annotated[float, typer.Option(min=0, help="points of DSC; a smaller difference counts as none")] = 0.3,
    gain: Annotated[
        float | None, typer.Option(min=0, help="points of DSC that you hope for: what would find them")
    ] = None,
    spread: Annotated[
        str, typer.Option(help="assumed for the power: small, near-paper, or a PLAN.yaml that has run")
    ] = "small",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="the plan, a .yaml; folds lie in a folder next to it")
    ] = Path("compare.yaml"),
) -> None:
    """Write down what will be compared; prints hours and what can be found. FILE.py:NAME runs the code in that file."""
    from dainet.compare.planning import Request, plan_comparison

    given = overrides(dataset, source, weights, device, set_)
    typer.echo(plan_comparison(Request(networks, profile, given, folds, seeds, margin, gain, spread), output)[1])


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(help="a plan, such as compare.yaml or study/plans/near-paper.yaml")],
    source: Source = None,
    weights: Weights = None,
    device: Device = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="begin no training that would not end in this time; the first begin if no time is known yet"),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="trainings at once, with one thread each if several")] = 1,
    only: Annotated[str, typer.Option(help="name of one training, such as unet_fold1_seed1")] = "",
) -> None:
    """Run the trainings of a plan that are missing; resumes, and may be started several times at once.

    A network from outside is code that this command runs.
    """
    from dainet.compare.plan import read_plan
    from dainet.compare.run import results_folder, run_plan

    read = read_plan(plan)
    count = run_plan(read, overrides(None, source, weights, device), seconds, processes, only)
    typer.echo(f"ran {count} trainings; scores: {results_folder(read)}")


@app.command()
def report(
    plan: Annotated[Path, typer.Argument(help="a plan whose trainings have run")],
    output: Annotated[Path | None, typer.Option(file_okay=False, help="folder for the page and its files")] = None,
    waves_so_far: Annotated[
        bool, typer.Option("--waves-so-far", help="read the whole waves that there are; no more will be run")
    ] = False,
) -> None:
    """Write a page with the verdict of a plan: interval, checks, failures, methods; figures and tables for a paper."""
    from dainet.compare.plan import read_plan
    from dainet.compare.report import write_report
    from dainet.compare.run import results_folder

    read = read_plan(plan)
    folder = results_folder(read)
    page = write_report(read, folder, output.absolute() if output else folder / "report", waves_so_far)
    typer.echo(f"page: {page}")
