"""Helpers for tests of code that runs in several processes."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing

from dainet.device import choose_device
from dainet.parallel import collectives


def together(folder: Path, work: Callable[[], Any], count: int = 2) -> list[Any]:
    """What `work` returns in each of `count` processes joined by gloo, by rank; also tensors and numbers."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    multiprocessing.start_processes(_join_and_work, (count, port, folder, work), count, start_method="fork")
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(count)]


def _join_and_work(rank: int, count: int, port: int, folder: Path, work: Callable[[], Any]) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    with collectives.process_group(choose_device("cpu")):
        torch.save(work(), folder / f"{rank}.pt")


def running(word: str) -> list[int]:
    """Process ids of Python workers of the kit whose command holds a word."""
    return sorted(children(None, "dainet.jobs.worker") & children(None, word))


def children(parent: int | None, word: str) -> set[int]:
    """Process ids of the children of a process, of any for None, whose command holds a word."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
            own = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
        if word in command and parent in (None, own):
            found.add(int(folder.name))
    return found
