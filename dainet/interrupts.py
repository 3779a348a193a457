"""Ctrl-C on the command line: one line instead of a traceback, also while libraries are imported."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

__all__ = ["INTERRUPTED", "explain_interrupt", "watch_imports"]

INTERRUPTED = 130  # exit status, as shells and typer have it
_SENTENCE = "dainet: interrupted; finished work is kept; run the same command again to resume\n"


def explain_interrupt() -> None:
    """Say on stderr what an interrupt leaves and how to go on."""
    sys.stderr.write(_SENTENCE)
    sys.stderr.flush()


def watch_imports() -> None:
    """From here on, end the process at once where Ctrl-C meets an import, and raise KeyboardInterrupt elsewhere.

    Libraries in C++ end in a crash when the exception meets them half loaded. Where interrupts are ignored, as in
    background jobs of a shell, they stay ignored.
    """
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            explain_interrupt()
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt
