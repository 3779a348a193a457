"""The commands that run the notebooks and make what they ship with; slow imports stand inside the commands."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from dainet.errors import needs_extra
from dainet.options import Dataset, Device, Profile, Set, Source, Weights, absolute_code, overrides

__all__ = ["competitors", "gain", "more_seeds", "notebooks", "reproduce"]


def reproduce(
    dataset: Dataset = None,
    source: Source = None,
    profile: Profile = "tour",
    weights: Weights = None,
    device: Device = None,
    set_: Set = None,
    notebooks: Annotated[str, typer.Option(help="numbers of those to run, such as 03,04; default: 01 to 07")] = "",
    network: Annotated[
        list[str] | None, typer.Option(help="your own, FILE.py:NAME, beside those of 04 and 05; its code is run")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="how many notebooks run at once")] = 1,
) -> None:
    """Run the notebooks headless; leaves figures, tables and index.html below figures/."""
    with needs_extra("lessons"):
        from dainet.lessons.reproduce import find_notebooks, notebooks_of_a_run
        from dainet.lessons.reproduce import reproduce as run_notebooks

    numbers = [number.strip() for number in notebooks.split(",") if number.strip()]
    chosen = find_notebooks(numbers) if numbers else notebooks_of_a_run()
    own = [absolute_code(name) for name in network or ()]
    index = run_notebooks(profile, overrides(dataset, source, weights, device, set_), chosen, own, processes)
    typer.echo(f"figures and tables: {index}")


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


def more_seeds(dataset: Dataset = "acdc") -> None:
    """Train seeds 1 and 2 of the tour's networks and store their scores in the package, where notebooks read them."""
    os.environ["OMP_NUM_THREADS"] = "1"  # the same rounding whatever the number of cores
    with needs_extra("lessons"):
        from dainet.lessons.more_seeds import train_more_seeds
        from dainet.settings import load_settings

    typer.echo(f"written: {train_more_seeds(load_settings('tour', overrides(dataset)))}")


def competitors() -> None:
    """Train the competitors of notebook 08 at the tour's size and store their scores in the package."""
    os.environ["OMP_NUM_THREADS"] = "1"  # the same rounding whatever the number of cores
    with needs_extra("lessons"):
        from dainet.lessons.competitors import train_competitors
        from dainet.settings import load_settings

    typer.echo(f"written: {train_competitors(load_settings('tour'))}")


def gain() -> None:
    """Train the three changes of notebook 09 by its plan and store their scores in the package."""
    os.environ["OMP_NUM_THREADS"] = "1"  # the same rounding whatever the number of cores
    with needs_extra("lessons"):
        from dainet.lessons.gain.shipping import train_gain

    typer.echo(f"written: {train_gain()}")
