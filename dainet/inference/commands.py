"""The commands for your own scans; what takes seconds to import stands inside the command that needs it."""

from __future__ import annotations

from collections.abc import Callable

import typer

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module to a command line."""
    for command in _COMMANDS:
        app.command()(command)


_COMMANDS: tuple[Callable[..., None], ...] = ()
