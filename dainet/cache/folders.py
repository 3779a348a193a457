"""Folders of results, and the error for a folder that cannot be written."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dainet.errors import DainetError
from dainet.places import output_path

__all__ = ["PARTIAL", "STAGE_NAME", "StageError", "explained_disk", "figures_folder", "runs_folder", "walk"]

PARTIAL = ".partial"  # ending of the folder of an unfinished stage
STAGE_NAME = re.compile(r"[0-9a-f]{16}(\.partial)?")  # of the folder of a stage: its key, and whether it is finished
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PROTECTED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)


class StageError(DainetError):
    """A folder for results cannot be used; the message says why and what to do."""


def runs_folder() -> Path:
    """Return the folder of all stages: the one named by DAINET_RUNS, else runs/, as `output_path` says."""
    return output_path(os.environ.get("DAINET_RUNS") or "runs")


def figures_folder() -> Path:
    """Return the folder of figures: the one named by DAINET_FIGURES, else figures/, as `output_path` says."""
    return output_path(os.environ.get("DAINET_FIGURES") or "figures")


def walk(
    folder: Path, on_error: Callable[[OSError], None] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Visit a folder and those below it as `os.walk` does, without hidden names, following links, each folder once.

    Args:
        folder: where to start; its own name may be hidden.
        on_error: is called for a folder that cannot be listed; None ignores it.
    """
    seen = set()
    for place, folders, names in os.walk(folder, onerror=on_error, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = sorted(name for name in folders if real not in seen and not name.startswith("."))
        if real not in seen:
            seen.add(real)
            yield Path(place), folders, sorted(name for name in names if not name.startswith("."))


@contextmanager
def explained_disk(folder: Path, other: str) -> Iterator[None]:
    """Turn the errors of a full or protected disk, within this context, into `StageError`.

    Errors about files outside `folder` stay as they are.

    Args:
        folder: folder that is written to.
        other: what the message says may be named instead.

    Raises:
        StageError: nothing more can be written to the folder.
    """
    try:
        yield
    except OSError as error:
        elsewhere = error.filename and not str(error.filename).startswith(str(folder))
        if error.errno not in (*_FULL, *_PROTECTED) or elsewhere:
            raise
        raise StageError(
            f"{folder}: results cannot be written ({error.strerror}); free space there, allow writing, or name {other}"
        ) from error
