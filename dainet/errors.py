"""Errors that the user can mend, and how they are worded: what was found, what was expected, what to do."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from textwrap import shorten

# How libraries below torch tell want of GPU memory, which torch passes on as a plain RuntimeError.
_NO_GPU_MEMORY = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "DEVICE_ALLOCATION_FAILED")

__all__ = [
    "DainetError",
    "InputError",
    "MemoryLackError",
    "NonFiniteError",
    "lacks_gpu_memory",
    "needs_extra",
    "reason",
    "some",
    "unknown",
    "why_unreadable",
]


class DainetError(Exception):
    """Something that the user can mend: command lines and notebooks show its message as one line, no traceback."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that a notebook shows; IPython asks for them under this name."""
        return [f"{type(self).__name__}: {self}"]


class InputError(DainetError, ValueError):
    """A setting, a name, a file or a machine does not allow what was asked for."""


class NonFiniteError(DainetError, FloatingPointError):
    """A computation gave NaN or infinity."""


class MemoryLackError(DainetError, MemoryError):
    """The memory of a device does not suffice."""


def unknown(what: str, given: object, known: Iterable[object]) -> InputError:
    """Return the error for a name that does not exist: it shows the name, the closest known one and all known ones."""
    names = [str(name) for name in known]
    close = get_close_matches(str(given), names, n=1)
    guess = f", did you mean {close[0]}?" if close else ";"
    expected = shorten(", ".join(names), 400, placeholder=" ...")
    return InputError(f"{what} {reprlib.repr(given)} is unknown{guess} expected one of {expected}")


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a failed import, within this context, into one line that names the extra to install.

    Raises:
        InputError: a library is missing; modules of the kit itself keep their traceback.
    """
    try:
        yield
    except ImportError as error:
        if (error.name or "").startswith("dainet"):
            raise
        found = " ".join(str(error).split())
        raise InputError(f"{found}; install what this needs with: pip install 'dainet[{extra}]'") from error


def lacks_gpu_memory(error: BaseException) -> bool:
    """Tell whether torch, or a library below it, raised an error because the memory of a GPU does not suffice."""
    told = isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_GPU_MEMORY)
    return told or type(error).__name__ == "OutOfMemoryError"  # torch's, which takes seconds to import


def some(names: Sequence[str]) -> str:
    """Return the first five names and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def reason(error: Exception, path: Path) -> str:
    """Return what a library says about a file, in one short line and without the path of the file."""
    said = error.args[0] if isinstance(error, KeyError) and error.args else error  # which shows its key in quotes
    text = getattr(error, "strerror", None) or str(said) or type(error).__name__
    return " ".join(text.replace(str(path), path.name).split())[:300]


def why_unreadable(error: Exception, path: Path) -> str:
    """Return the reason in brackets, and what to do."""
    advice = "allow reading it" if isinstance(error, PermissionError) else "fetch it again"
    return f"({reason(error, path)}); {advice}"
