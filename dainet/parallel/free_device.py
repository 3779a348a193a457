"""One GPU for each of several jobs on one machine."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock

from dainet.cache.locks import try_lock
from dainet.device import gpu_names

__all__ = ["free_device"]


@contextmanager
def free_device(device: str, processes: int = 1) -> Iterator[str]:
    """Hold a GPU that no other such job holds, within this context, where `device` is "auto"; wait while none is free.

    Other names, and "auto" where torch sees one GPU or none (as in a job of SLURM or Kubernetes), stay as they are, and
    so does "auto" for a job of several processes, which take GPUs by their own numbers.
    """
    names = gpu_names() if device == "auto" and processes == 1 else []
    if len(names) < 2:
        yield device
        return
    name, lock = _first_free(names)
    try:
        yield name
    finally:
        lock.release()


def _first_free(names: list[str]) -> tuple[str, FileLock]:
    """Return the name of a free device and its lock, which this process now holds."""
    while True:
        for number, name in enumerate(names):
            lock = try_lock(f"gpu-{platform.node()}-{number}")
            if lock is not None:
                return name, lock
        time.sleep(1)
