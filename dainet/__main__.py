"""Learn, check and play with DAINet: attention maps of a self-supervised ViT in a convolutional U-Net."""

# Imports that take seconds (torch, pandas, papermill, matplotlib) stand inside the commands that need them.

from __future__ import annotations

import sys
from pathlib import Path

from dainet.interrupts import watch_imports

if __name__ == "__main__" or Path(sys.argv[0]).stem == "dainet":  # python -m dainet, or the installed command
    watch_imports()  # before those below, which take seconds

import json
import logging
from typing import Annotated

import typer

import dainet.cache.commands as cache
import dainet.compare.commands as compare
import dainet.inference.commands as inference
import dainet.lessons.commands as lessons
import dainet.transfer.commands as transfer
from dainet.errors import needs_extra
from dainet.options import Dataset, Device, Profile, Set, Source, Weights, new_app, overrides, run_app
from dainet.settings import SEEDS

app = new_app(__doc__)


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


def stage(
    name: Annotated[str, typer.Argument(help="data, dino, attention, train or scores")],
    network: Annotated[
        str | None,
        typer.Option(help="for train and scores: unet, dual-1111 ..., or FILE.py:NAME, which runs that file"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=SEEDS - 1, help="for train and scores")] = None,
    dataset: Dataset = None,
    source: Source = None,
    profile: Profile = "tour",
    weights: Weights = None,
    device: Device = None,
    set_: Set = None,
) -> None:
    """Run one stage and the stages before it; prints the keys of what it left in the cache (for workflow/Snakefile)."""
    from dainet.jobs.one_stage import run_named_stage
    from dainet.settings import load_settings

    settings = load_settings(profile, overrides(dataset, source, weights, device, set_))
    results = run_named_stage(settings, name, network, seed)
    typer.echo(json.dumps([{"stage": result.stage, "key": result.key} for result in results]))


_PANELS = {
    "Lessons": (lessons.reproduce, explorer),
    "Your own scans": (inference.attention, inference.predict, inference.export, inference.card),
    "Stages and their cache": (stage, cache.runs, cache.verify, transfer.pack, transfer.unpack),
    "What the kit ships": (lessons.notebooks, lessons.more_seeds, lessons.competitors, lessons.gain),
}
for _title, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_title)(_command)
app.add_typer(compare.app, name="compare", rich_help_panel="Your own networks")


def main() -> None:
    """Entry point of `python -m dainet`."""
    logging.getLogger("papermill").setLevel(logging.WARNING)
    run_app(app)


if __name__ == "__main__":
    main()
