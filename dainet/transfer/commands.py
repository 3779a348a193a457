"""The commands that carry inputs to a machine without network, and results back; slow imports stand inside them."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Annotated

import typer

from dainet.errors import InputError
from dainet.options import Set, Source, Weights, overrides

__all__ = ["pack", "unpack"]


def pack(
    folder: Annotated[Path, typer.Argument(help="new folder for the parts and their manifest")],
    source: Source = None,
    weights: Weights = None,
    set_: Set = None,
    plan: Annotated[Path | None, typer.Option(help="a plan, with its folds and all files that it names")] = None,
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
    from dainet.transfer.inputs import find_inputs
    from dainet.transfer.parts import write_pack

    files = find_inputs(overrides(None, source, weights, None, set_), plan)
    files |= {name: path for each in results or [] for name, path in packing.find_results(each).items()}
    files |= packing.find_stages(stages or []) | (packing.find_states() if states else {})
    plain = {packing.CODE: packing.code_archive()} if code else {}
    plain |= packing.find_wheels(wheels) if wheels else {}
    for path in write_pack(folder, files, plain, part_mib, verbatim):
        typer.echo(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")


def unpack(folder: Annotated[Path, typer.Argument(help="folder with the parts of a pack and their manifest")]) -> None:
    """Lay out a pack below this folder and in the cache; nothing that is here is overwritten."""
    from dainet.transfer.unpacking import unpack as unpack_files

    found = unpack_files(folder)
    typer.echo(f"{found.new} new files; {found.left_out} left out: they, their stage or their training are here")
    if found.different:
        raise InputError(
            f"{len(found.different)} files differ from those here, which are kept: "
            f"{shorten(', '.join(found.different), 300)}; move those here away to take the ones of the pack"
        )
