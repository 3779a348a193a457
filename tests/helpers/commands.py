"""Commands of the command line, run in this process."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from dainet import __main__ as command_line

__all__ = ["command"]


def command(*arguments: str) -> tuple[str | int | None, str]:
    """Return the exit status of `dainet ARGUMENTS`, or its one line for an error, and what it prints."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
        patch.setattr(sys, "argv", ["dainet", *arguments])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
    return stopped.value.code, said.getvalue()
