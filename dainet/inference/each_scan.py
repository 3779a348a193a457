"""The same work for many scans: names for their files, which overwrite nothing, and no failure stops the others."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dainet.data.scans import scan_name
from dainet.data.volume import check_name
from dainet.errors import DainetError, InputError
from dainet.progress import progress

__all__ = ["each_scan", "new_files", "output_names"]

log = logging.getLogger(__name__)


def each_scan(paths: Sequence[Path], doing: str, work: Callable[[Path, str], str]) -> list[str]:
    """Do the same work with one scan after the other; each is a line in the log, also where it fails.

    Args:
        paths: see `dainet.data.scans.read_scan`.
        doing: names the progress bar.
        work: gets a path and the name of its files, and returns what was done.

    Returns:
        One line for each scan that failed.
    """
    failures = list[str]()
    for path, name in progress(list(zip(paths, output_names(paths), strict=True)), doing):
        shown = os.fsencode(path).decode(errors="backslashreplace")
        try:
            check_name(path)
            log.info("%s: %s", shown, work(path, name))
        except (DainetError, OSError) as error:
            failures.append(f"{shown}: {error}")
            log.error("%s", failures[-1])
    return failures


@contextmanager
def new_files(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Give hidden places for files of one folder, from which they move once all are written, the first one last.

    Raises:
        InputError: one of them is there already.
    """
    for path in files:
        if path.exists():
            raise InputError(f"{path} exists, and nothing is overwritten; move it, or give another --output")
    with TemporaryDirectory(prefix=".appearing-", dir=files[0].parent) as hidden:
        places = [Path(hidden) / file.name for file in files]
        yield places
        for place, file in zip(reversed(places), reversed(files), strict=True):
            os.replace(place, file)


def output_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for the files of each scan: its own, with its folder's where that tells equal ones apart.

    What is still equal is numbered. Upper and lower case count as equal, as they do on some disks.
    """
    names = [scan_name(path) for path in paths]
    places = [Path(os.path.realpath(path)).parent.name for path in paths]  # of a loop of links too
    of_name: dict[str, set[str]] = defaultdict(set)
    for name, place in zip(names, places, strict=True):
        of_name[name.lower()].add(place)
    named = [
        f"{place}_{name}" if len(of_name[name.lower()]) > 1 else name for name, place in zip(names, places, strict=True)
    ]
    taken, unique = set[str](), list[str]()
    for name in named:
        number, free = 1, name
        while free.lower() in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free.lower())
        unique.append(free)
    return unique
