"""States that a training writes after every epoch, so that a killed training resumes after its last epoch."""

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
    """Return the seed of an epoch, so that a resumed training draws the same random numbers as an uninterrupted one."""
    return seed * 100_003 + epoch


def save_state(state: Mapping[str, Any], folder: Path, epoch: int) -> None:
    """Write the state after an epoch in one step and keep the last two.

    Args:
        state: dictionaries, lists, numbers, texts and tensors.
        folder: folder of the unfinished stage; states go into its subfolder `UNFINISHED`, removed at the end.
        epoch: counted from 1.

    Raises:
        OSError: the disk is full or protected; earlier states are unchanged.
    """
    import torch  # takes seconds to load and is not needed to list the cache

    states = folder / UNFINISHED
    states.mkdir(exist_ok=True)
    buffer = BytesIO()  # on a full disk torch's own writer raises a RuntimeError about positions
    torch.save(dict(state), buffer)
    write_complete(states / f"epoch_{epoch:05d}.pt", buffer.getbuffer())
    for old in _states(folder)[_KEPT:]:
        old.unlink()


def load_state(folder: Path) -> dict[str, Any] | None:
    """Load the newest undamaged state, or return None; a warning names a damaged one, and the one before is taken."""
    for path in _states(folder):
        try:
            return _read(path)
        except Exception as error:  # damaged archives make zipfile and torch raise nearly anything
            log.warning("%s is damaged (%s); resuming from the one before", path.name, type(error).__name__)
    return None


def _states(folder: Path) -> list[Path]:
    """List the files of states, newest first."""
    return sorted((folder / UNFINISHED).glob("epoch_*.pt"), reverse=True)


def _read(path: Path) -> dict[str, Any]:
    """Load a state after checking the checksums of its zip archive, which torch.load does not do."""
    import torch

    with zipfile.ZipFile(path) as archive:
        if archive.testzip():
            raise zipfile.BadZipFile(path.name)
    return torch.load(path, map_location="cpu", weights_only=True)
