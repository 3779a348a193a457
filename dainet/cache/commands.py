"""The commands that list, explain, prune and verify the cache; slow imports stand inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from tabulate import tabulate

from dainet.errors import InputError

if TYPE_CHECKING:
    from dainet.cache.runs import Run

__all__ = ["runs", "verify"]


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
