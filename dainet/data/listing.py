"""Which files lie below a folder, and which cases lie there twice."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from dainet.data.volume import Case, DataError

__all__ = ["list_files", "repeated_cases", "strange_name"]


def list_files(folder: Path) -> tuple[list[Path], list[DataError]]:
    """List all files below a folder, sorted, and folders that cannot be listed; follows links, each folder once."""
    files, problems, seen = list[Path](), list[DataError](), set[str]()

    def note(error: OSError) -> None:
        name = os.path.relpath(error.filename, folder.parent)
        problems.append(DataError(f"folder {name} cannot be listed ({error.strerror}); allow reading it"))

    waiting = [folder]
    while waiting:  # linked folders last: a folder that is also reached directly keeps its own name
        for here, folders, names in os.walk(waiting.pop(0), onerror=note):
            if os.path.realpath(here) in seen:
                folders.clear()
                continue
            seen.add(os.path.realpath(here))
            waiting += [path for name in sorted(folders) if (path := Path(here, name)).is_symlink()]
            files += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(files), problems


def strange_name(case: Case) -> DataError | None:
    """Return the error for a case whose name is not text, so that no table could hold it; None for all others."""
    try:
        case.case_id.encode()
    except UnicodeEncodeError:  # bytes of the name that are not UTF-8, or not of the encoding of this terminal
        told = ascii(case.files[0].name)
        return DataError(
            f"the name {told} is not UTF-8; rename the file, or set PYTHONUTF8=1 if other programs show its name"
        )
    return None


def repeated_cases(cases: Sequence[Case]) -> list[DataError]:
    """Return an error for each case that was found in several folders."""
    folders: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        folders[case.case_id].append(case.files[0].parent.name)
    twice = {case.case_id: case.patient for case in cases if len(folders[case.case_id]) > 1}
    return [
        DataError(
            f"{case_id}: found {len(folders[case_id])} times, in {', '.join(folders[case_id])}; keep one", patient
        )
        for case_id, patient in twice.items()
    ]
