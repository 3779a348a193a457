"""One stage of the pipeline by name, as a job of a workflow engine runs it (docs/cluster.md)."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from dainet import pipeline
from dainet.cache.locks import named_lock
from dainet.cache.store import StageResult
from dainet.device import gpu_names
from dainet.settings import Settings

__all__ = ["STAGES", "free_device", "run_named_stage"]

STAGES = ("data", "dino", "attention", "train", "scores")
_OF_ONE_NETWORK = ("train", "scores")


def run_named_stage(settings: Settings, name: str, network: str | None, seed: int | None) -> list[StageResult]:
    """Run a stage, or open it where it is finished; stages before it that are missing are run too.

    Args:
        settings: the run's settings.
        name: one of `STAGES`.
        network: as in `dainet.segmentation.networks.build`; for "train" and "scores" only.
        seed: of the training; for "train" and "scores" only.

    Returns:
        What the stage left in the cache; "data" leaves the slices twice, at the networks' and at the ViT's size.

    Raises:
        ValueError: the name is unknown, or network and seed are missing or given in vain.
    """
    if name not in STAGES:
        raise ValueError(f"stage {name!r} is unknown; expected one of {', '.join(STAGES)}")
    if (network is not None, seed is not None) != (name in _OF_ONE_NETWORK,) * 2:
        raise ValueError(
            f"stage {name} with network {network} and seed {seed}; give --network and --seed with "
            f"{' and '.join(_OF_ONE_NETWORK)}, and with no other stage"
        )
    if name == "data":  # needs no device, so it must not wait for one
        return [pipeline.prepare(settings).result, pipeline.prepare_for_vit(settings).result]
    if settings.n_processes > 1:  # each of them takes a GPU by its own number
        return _run(settings, name, network or "", seed or 0)
    with free_device(settings.device) as device:
        return _run(settings.model_copy(update={"device": device}), name, network or "", seed or 0)


@contextmanager
def free_device(device: str) -> Iterator[str]:
    """Inside, "auto" on a machine with several GPUs is one that no other job of this kind holds; waits for it.

    Other names, and "auto" where torch sees one GPU or none (as in a job of SLURM or Kubernetes), stay as they are.
    """
    names = gpu_names() if device == "auto" else []
    if len(names) < 2:
        yield device
        return
    locks = [named_lock(f"gpu-{platform.node()}-{number}") for number in range(len(names))]
    number = _first_free(locks)
    try:
        yield names[number]
    finally:
        locks[number].release()


def _first_free(locks: list[FileLock]) -> int:
    """Index of the lock that is now held; the system frees those of jobs that died."""
    while True:
        for number, lock in enumerate(locks):
            try:
                lock.acquire(blocking=False)
                return number
            except Timeout:
                continue
        time.sleep(1)


def _run(settings: Settings, name: str, network: str, seed: int) -> list[StageResult]:
    if name == "dino":
        return [pipeline.finetune(settings)]
    if name == "attention":
        return [pipeline.attention(settings)]
    if name == "train":
        return [pipeline.segment(settings, network, seed)]
    return [pipeline.train(settings, network, seed).scored]
