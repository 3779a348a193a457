"""Learn, check and play with DAINet: attention maps of a self-supervised ViT in a convolutional U-Net."""

# Imports that take seconds (torch, pandas, papermill, matplotlib) stand inside the commands that need them.

from __future__ import annotations

from dainet.interrupts import watch_imports

if __name__ == "__main__":
    watch_imports()  # before those below, which take seconds

import json
import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer
from tabulate import tabulate

from dainet.errors import InputError, needs_extra
from dainet.inference.commands import add_commands
from dainet.options import Dataset, Device, Profile, Set, Source, Weights, new_app, overrides, run_app
from dainet.settings import SEEDS

if TYPE_CHECKING:
    from dainet.cache.runs import Run

app = new_app(__doc__)


@app.command()
def reproduce(
    dataset: Dataset = None,
    source: Source = None,
    profile: Profile = "tour",
    weights: Weights = None,
    device: Device = None,
    set_: Set = None,
    notebooks: Annotated[str, typer.Option(help="numbers of those to run, such as 03,04; default: 01 to 07")] = "",
) -> None:
    """Run the notebooks headless; leaves figures, tables and index.html below figures/."""
    with needs_extra("lessons"):
        from dainet.lessons.reproduce import find_notebooks, notebooks_of_a_run
        from dainet.lessons.reproduce import reproduce as run_notebooks

    numbers = [number.strip() for number in notebooks.split(",") if number.strip()]
    chosen = find_notebooks(numbers) if numbers else notebooks_of_a_run()
    index = run_notebooks(profile, overrides(dataset, source, weights, device, set_), chosen)
    typer.echo(f"figures and tables: {index}")


@app.command()
def explorer(
    dataset: Dataset = None,
    source: Source = None,
    profile: Profile = "tour",
    weights: Weights = None,
    device: Device = None,
    set_: Set = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="port on localhost; 0: a free one")] = 8866,
    browser: Annotated[bool, typer.Option(help="open the page in a browser")] = True,
    pages: Annotated[int | None, typer.Option(min=1, help="open at once; default: one per 2 GB of memory")] = None,
    model: Annotated[str | None, typer.Option(help="explore a bundle: its name, such as tour, or a file")] = None,
) -> None:
    """Serve the explorer of notebook 06 as a web page on this machine, until interrupted."""
    with needs_extra("lessons"):
        from dainet.explorer.page import serve

    serve(profile, overrides(dataset, source, weights, device, set_), port, browser, pages, model)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(help="data, dino, attention, train or scores")],
    network: Annotated[str | None, typer.Option(help="for train and scores: unet, single, dual-1111 ...")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=SEEDS - 1, help="for train and scores")] = None,
    dataset: Dataset = None,
    source: Source = None,
    profile: Profile = "tour",
    weights: Weights = None,
    device: Device = None,
    set_: Set = None,
) -> None:
    """Run one stage and the stages before it; prints the keys of what it left in the cache (for workflow/Snakefile)."""
    from dainet.pipeline import run_named_stage
    from dainet.settings import load_settings

    settings = load_settings(profile, overrides(dataset, source, weights, device, set_))
    results = run_named_stage(settings, name, network, seed)
    typer.echo(json.dumps([{"stage": result.stage, "key": result.key} for result in results]))


@app.command()
def runs(
    why: Annotated[str, typer.Option(help="key of a stage: show its settings and inputs")] = "",
    prune: Annotated[bool, typer.Option("--prune", help="remove stages that no figure or table refers to")] = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="with --prune: also unfinished stages that no process computes")
    ] = False,
) -> None:
    """List the finished and unfinished stages in the cache."""
    from dainet.cache.folders import runs_folder
    from dainet.cache.runs import find_run, find_runs, lineage

    if unfinished and not prune:
        raise InputError("--unfinished says what --prune removes; the list shows unfinished stages in any case")
    if why:
        found = find_run(why)
        if not found.complete:
            typer.echo(f"{found.path} is unfinished; this is what it is to become", err=True)
        typer.echo(json.dumps(lineage([found.key]), indent=1))
    elif prune:
        _prune(unfinished)
    else:
        typer.echo(f"{runs_folder()}\n{_table(find_runs()) or 'no stages'}")


def _prune(unfinished: bool) -> None:
    """List what may be removed, ask, and remove what may still be removed after the answer."""
    from dainet.cache.prune import removable, remove
    from dainet.cache.references import figure_folders

    folders = figure_folders()
    typer.echo("\n  ".join(["figures and tables that need stages:", *map(str, folders)]))
    found = removable(folders, unfinished)
    typer.echo(_table(found) or "no other stage may be removed")
    if not unfinished:
        typer.echo("unfinished stages stay; --unfinished removes those that no process computes")
    if not found or not typer.confirm(f"Remove these {len(found)} stages?"):
        return
    listed = {run.path for run in found}
    removed = [remove(run) for run in removable(figure_folders(), unfinished) if run.path in listed]
    typer.echo(f"{sum(removed)} of {len(found)} stages removed")


def _table(found: list[Run]) -> str:
    from dainet.cache.runs import runs_table

    return tabulate(runs_table(found), headers="keys", tablefmt="plain", disable_numparse=True)


@app.command()
def verify(folder: Annotated[Path, typer.Argument(help="figures and tables, or a stage of the cache")]) -> None:
    """Compare files with their records below a folder; exits with 1 where one differs or has no record."""
    from dainet.cache.verify import verify_folder

    found = verify_folder(folder)
    for line in (*found.different, *found.not_compared):
        typer.echo(line)
    exempt = f"; {len(found.exempt)} need no record (unfinished stages, README.md, NOTICE.md)" if found.exempt else ""
    if found.different or found.not_compared:
        differ = f"{found.compared} files compared, {len(found.different)} of them differ"
        typer.echo(f"{differ}; {len(found.not_compared)} could not be compared{exempt}")
        raise typer.Exit(1)
    typer.echo(f"OK: {found.compared} files match their records{exempt}")


@app.command()
def pack(
    folder: Annotated[Path, typer.Argument(help="new folder for the parts and their manifest")],
    source: Annotated[Path | None, typer.Option(help="folder with the scans")] = None,
    weights: Annotated[Path | None, typer.Option(help="file with the weights of the ViT")] = None,
    results: Annotated[list[Path] | None, typer.Option(help="folder below figures/, such as that of a study")] = None,
    stages: Annotated[list[str] | None, typer.Option(help="finished stages of the cache by name, such as dino")] = None,
    states: Annotated[bool, typer.Option("--states", help="the last states of interrupted trainings")] = False,
    wheels: Annotated[Path | None, typer.Option(help="folder with wheels that the other machine lacks")] = None,
    code: Annotated[bool, typer.Option("--code", help="the code of the last commit")] = False,
    part_mib: Annotated[int, typer.Option(min=1, help="largest size of a part in MiB")] = 45,
    verbatim: Annotated[bool, typer.Option("--verbatim", help="only compress scans; larger")] = False,
) -> None:
    """Pack what a machine without network needs for a slice of a run, or what it made, into a few small files."""
    from dainet.transfer import packing
    from dainet.transfer.parts import write_pack

    files = packing.find_scans(source) if source else {}
    files |= packing.find_weights(weights) if weights else {}
    files |= {name: path for each in results or [] for name, path in packing.find_results(each).items()}
    files |= packing.find_stages(stages or []) | (packing.find_states() if states else {})
    plain = {packing.CODE: packing.code_archive()} if code else {}
    plain |= packing.find_wheels(wheels) if wheels else {}
    for path in write_pack(folder, files, plain, part_mib, verbatim):
        typer.echo(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")


@app.command()
def unpack(folder: Annotated[Path, typer.Argument(help="folder with the parts of a pack and their manifest")]) -> None:
    """Lay out a pack below this folder and in the cache; nothing that is here is overwritten."""
    from dainet.transfer.unpacking import unpack as unpack_files

    found = unpack_files(folder)
    typer.echo(f"{found.new} new files; {found.left_out} left out, because they or their stage are here")
    if found.different:
        raise InputError(
            f"{len(found.different)} files differ from those here, which are kept: "
            f"{shorten(', '.join(found.different), 300)}; move those here away to take the ones of the pack"
        )


@app.command()
def notebooks() -> None:
    """Execute the notebooks in place at the tour profile, from an empty cache, and normalize them for committing."""
    with needs_extra("lessons"):
        from dainet.lessons.regenerate import regenerate
        from dainet.lessons.reproduce import find_notebooks

    with TemporaryDirectory() as cache:
        os.environ["DAINET_RUNS"] = cache
        os.environ["OMP_NUM_THREADS"] = "2"  # as on the smallest machine; one thread rounds differently
        for path in find_notebooks():
            regenerate(path)
            typer.echo(f"{path.name} regenerated")


@app.command()
def more_seeds(dataset: Dataset = "acdc") -> None:
    """Train seeds 1 and 2 of the tour's networks and store their scores in the package, where notebooks read them."""
    os.environ["OMP_NUM_THREADS"] = "1"  # the same rounding whatever the number of cores
    with needs_extra("lessons"):
        from dainet.lessons.more_seeds import train_more_seeds
        from dainet.settings import load_settings

    typer.echo(f"written: {train_more_seeds(load_settings('tour', overrides(dataset)))}")


@app.command()
def competitors() -> None:
    """Train the competitors of notebook 08 at the tour's size and store their scores in the package."""
    os.environ["OMP_NUM_THREADS"] = "1"  # the same rounding whatever the number of cores
    with needs_extra("lessons"):
        from dainet.lessons.competitors import train_competitors
        from dainet.settings import load_settings

    typer.echo(f"written: {train_competitors(load_settings('tour'))}")


add_commands(app)


def main() -> None:
    """Entry point of `python -m dainet`."""
    logging.getLogger("papermill").setLevel(logging.WARNING)
    run_app(app)


if __name__ == "__main__":
    main()
