"""What command lines share: options, the settings that they name, and how errors are shown."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dainet.errors import DainetError
from dainet.interrupts import INTERRUPTED, explain_interrupt, watch_imports
from dainet.places import absolute_path
from dainet.settings import parse_overrides

__all__ = [
    "Dataset",
    "Device",
    "Profile",
    "Set",
    "Source",
    "Weights",
    "absolute_code",
    "names_a_path",
    "new_app",
    "overrides",
    "run_app",
]

Dataset = Annotated[str | None, typer.Option(help="data set: acdc, synapse, custom")]
Source = Annotated[str | None, typer.Option(help='"phantom", or the folder with the scans')]
Profile = Annotated[str, typer.Option(help="tour, laptop or paper")]
Weights = Annotated[str | None, typer.Option(help='ViT: "hub", "tour", "random", a timm name, or a file')]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps")]
Set = Annotated[list[str] | None, typer.Option("--set", help="any setting, such as dino.epochs=2")]

# Settings that take a path, and the names that they take too.
_PATHS = {
    "data.source": ("phantom",),
    "data.split": (),
    "data.spacing": (),
    "vit.weights": ("hub", "tour", "random"),
    "segmentation.pretrained": ("hub",),
    "attention.maps": (),
    "segmentation.loss": (),  # the path of a file, a colon and a name
}
log = logging.getLogger(__name__)
_TRACEBACK = "--traceback"
_EPILOG = f"{_TRACEBACK}, anywhere on the line, shows where an error was raised."


def new_app(purpose: str | None) -> typer.Typer:
    """Create a command line without commands, for `run_app`."""
    return typer.Typer(
        add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=purpose, epilog=_EPILOG
    )


def run_app(app: typer.Typer) -> None:
    """Run a command line; an error of the kit or of the system is one line on stderr and exit status 1.

    Every other error is a fault of the code and keeps its traceback. `--traceback` shows the traceback of any error.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for part in (app, *(group.typer_instance for group in app.registered_groups)):
        for command in part.registered_commands if part else ():
            command.epilog = _EPILOG
    watch_imports()
    arguments = [_at_home(argument) for argument in sys.argv[1:] if argument != _TRACEBACK]
    try:
        app(arguments)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # which typer makes of KeyboardInterrupt
            explain_interrupt()
        raise
    except (DainetError, OSError) as error:
        if _TRACEBACK in sys.argv[1:]:
            raise
        sys.exit(f"dainet: {error}")


def _at_home(argument: str) -> str:
    """Write out "~" at the beginning of an argument, or of an option's value, which shells leave: --output=~/maps."""
    option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
    return f"{option}{equals}{os.path.expanduser(value)}"


def overrides(
    dataset: str | None = None,
    source: str | None = None,
    weights: str | None = None,
    device: str | None = None,
    items: list[str] | None = None,
) -> dict[str, Any]:
    """Collect the given options as settings by dotted name; paths that exist become absolute.

    Notebooks run in their own folder, where a path relative to this one would not be found. The kit's own names, such
    as "phantom", stay names whatever lies in this folder.

    Raises:
        InputError: an item of --set is not of the form name=value.
    """
    named = {"data.dataset": dataset, "data.source": source, "vit.weights": weights, "device": device}
    given = {name: value for name, value in named.items() if value is not None}
    return _absolute(given | parse_overrides(items or []))


def _absolute(given: dict[str, Any]) -> dict[str, Any]:
    # Not Path.expanduser, which raises for a home that does not exist.
    places = {name: os.path.expanduser(given[name]) for name in _PATHS if isinstance(given.get(name), str)}
    there = {name: place for name, place in places.items() if os.path.exists(place)}
    names = {name: place for name, place in there.items() if _is_name(name, place)}
    for name, word in names.items():
        log.warning("%s: %s is a name of the kit; for the file or folder of that name, write ./%s", name, word, word)
    absolute = {name: str(absolute_path(Path(place))) for name, place in there.items() if name not in names}
    if isinstance(loss := given.get("segmentation.loss"), str):
        absolute["segmentation.loss"] = absolute_code(loss)
    return given | absolute


def absolute_code(name: str) -> str:
    """Return the name of code from outside, FILE.py:NAME, with the absolute path of its file; others stay."""
    file, _, what = name.rpartition(":")
    path = os.path.expanduser(file)
    return f"{Path(path).resolve()}:{what}" if os.path.isfile(path) else name


def names_a_path(setting: str, word: str) -> bool:
    """Whether a value of a setting with this dotted name is a path; a name of the kit, such as "phantom", is not."""
    return bool(word) and setting in _PATHS and not _is_name(setting, word)


def _is_name(setting: str, word: str) -> bool:
    if setting != "data.split":
        return word in _PATHS[setting]
    from dainet.protocol import DEFAULT_SPLIT, split_names  # loads pandas, which takes a second

    return any(word in split_names(dataset) for dataset in DEFAULT_SPLIT)
