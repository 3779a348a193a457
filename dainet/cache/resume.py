"""What a training writes after every epoch, so that one that is killed goes on where it was."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from dainet.cache.atomic import write_complete
from dainet.cache.store import UNFINISHED

__all__ = ["epoch_seed", "load_state", "save_state"]

log = logging.getLogger(__name__)
_KEPT = 2


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of an epoch, so that a resumed training draws the same random numbers as an undisturbed one."""
    return seed * 100_003 + epoch


def save_state(state: Mapping[str, Any], folder: Path, epoch: int) -> None:
    """Write the state after an epoch beside and rename it; the last two are kept.

    Args:
        state: dictionaries, lists, numbers, texts and tensors.
        folder: of the stage in the making; the states go into its part that is removed in the end.
        epoch: counted from 1.

    Raises:
        OSError: the disk is full or protected; the states before are as they were.
    """
    import torch  # takes seconds to load, and whoever only lists the cache needs none

    states = folder / UNFINISHED
    states.mkdir(exist_ok=True)
    buffer = BytesIO()  # torch's own writer makes a full disk a RuntimeError about positions
    torch.save(dict(state), buffer)
    write_complete(states / f"epoch_{epoch:05d}.pt", buffer.getbuffer())
    for old in _states(folder)[_KEPT:]:
        old.unlink()


def load_state(folder: Path) -> dict[str, Any] | None:
    """The newest undamaged state, or None; a damaged one is named in a warning and the one before is taken."""
    for path in _states(folder):
        try:
            return _read(path)
        except Exception as error:  # damaged archives make zipfile and torch raise nearly anything
            log.warning("%s is damaged (%s); resuming from the one before", path.name, type(error).__name__)
    return None


def _states(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted((folder / UNFINISHED).glob("epoch_*.pt"), reverse=True)


def _read(path: Path) -> dict[str, Any]:
    """torch.save writes a zip archive with a checksum for each of its parts, which torch.load does not compare."""
    import torch

    with zipfile.ZipFile(path) as archive:
        if archive.testzip():
            raise zipfile.BadZipFile(path.name)
    return torch.load(path, map_location="cpu", weights_only=True)
