"""The command line: `python -m dainet` and one of the commands below."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from dainet.cache.folders import repository_root, runs_folder
from dainet.cache.runs import find_run, find_runs, lineage, remove, runs_table, unreferenced
from dainet.cache.verify import verify_folder
from dainet.lessons.regenerate import regenerate
from dainet.lessons.reproduce import NotebookFailed, find_notebooks
from dainet.lessons.reproduce import reproduce as run_notebooks
from dainet.options import Dataset, Device, Profile, Set, Source, Weights, overrides
from dainet.parallel.launch import ProcessesFailed
from dainet.settings import load_settings

_INTERRUPTED = 130  # what typer makes of Ctrl-C
_GO_ON = "interrupted; what is finished is kept, and the same command goes on after the last finished epoch"

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def reproduce(
    dataset: Dataset = None,
    source: Source = None,
    profile: Profile = "tour",
    weights: Weights = None,
    device: Device = None,
    set_: Set = None,
    notebooks: Annotated[str, typer.Option(help="numbers to run, such as 03,04; default all")] = "",
) -> None:
    """Run the notebooks headlessly; leaves figures, tables and index.html below figures/."""
    numbers = [number.strip() for number in notebooks.split(",") if number.strip()]
    index = run_notebooks(profile, overrides(dataset, source, weights, device, set_), find_notebooks(numbers))
    typer.echo(f"figures and tables: {index}")


@app.command()
def explorer(
    dataset: Dataset = None,
    source: Source = None,
    profile: Profile = "tour",
    weights: Weights = None,
    device: Device = None,
    set_: Set = None,
    port: Annotated[int, typer.Option(help="on localhost")] = 8866,
    browser: Annotated[bool, typer.Option(help="open the page")] = True,
) -> None:
    """Serve the explorer of notebook 06 as a web page on this machine, until interrupted."""
    from dainet.explorer.page import serve  # Voila takes a second to load, and only this command needs it

    serve(profile, overrides(dataset, source, weights, device, set_), port, browser)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(help="data, dino, attention, train or scores")],
    network: Annotated[str | None, typer.Option(help="with train and scores: unet, single, dual-1111 ...")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="with train and scores")] = None,
    dataset: Dataset = None,
    source: Source = None,
    profile: Profile = "tour",
    weights: Weights = None,
    device: Device = None,
    set_: Set = None,
) -> None:
    """Run one stage and what it needs; prints what it left in the cache. Made for workflow/Snakefile."""
    from dainet.pipeline import run_named_stage

    settings = load_settings(profile, overrides(dataset, source, weights, device, set_))
    results = run_named_stage(settings, name, network, seed)
    typer.echo(json.dumps([{"stage": result.stage, "key": result.key} for result in results]))


@app.command()
def runs(
    why: Annotated[str, typer.Option(help="key of a stage: say what made it")] = "",
    prune: Annotated[bool, typer.Option("--prune", help="remove what no figure or table refers to")] = False,
) -> None:
    """List the finished and unfinished stages in the cache."""
    if why:
        typer.echo(json.dumps(lineage([find_run(why).key]), indent=1))
        return
    found = unreferenced(find_runs(), repository_root() / "figures") if prune else find_runs()
    typer.echo(runs_table(found).to_string(index=False) if found else f"{runs_folder()} holds nothing of the kind")
    if prune and found and typer.confirm(f"Remove these {len(found)} stages?"):
        for run in found:
            remove(run)


@app.command()
def verify(folder: Annotated[Path, typer.Argument(help="figures and tables, or a stage of the cache")]) -> None:
    """Recompute the hashes in the records below a folder; says OK, or what differs and exits with 1."""
    count, problems = verify_folder(folder)
    typer.echo("\n".join(problems) or f"OK: {count} files are as their records say")
    if problems:
        raise typer.Exit(1)


@app.command()
def notebooks() -> None:
    """Execute the notebooks in place at the tour profile, from an empty cache, and normalize them for committing."""
    with TemporaryDirectory() as runs:
        os.environ["DAINET_RUNS"] = runs
        os.environ["OMP_NUM_THREADS"] = "1"  # two round otherwise, so that outputs would change
        for path in find_notebooks():
            regenerate(path)
            typer.echo(f"{path.name} regenerated")


def main() -> None:
    """Entry point: errors of this kit are one line on stderr and a non-zero exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("papermill").setLevel(logging.WARNING)
    try:
        app()
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            sys.stderr.write(f"dainet: {_GO_ON}\n")
        raise
    except (ValueError, OSError, NotebookFailed, ProcessesFailed, FloatingPointError) as error:
        sys.exit(f"dainet: {error}")


if __name__ == "__main__":
    main()
