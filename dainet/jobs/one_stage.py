"""One stage by name, as the command line and jobs of a cluster run it."""

from __future__ import annotations

from dainet import pipeline
from dainet.cache.store import StageResult
from dainet.device import named_device
from dainet.errors import InputError, unknown
from dainet.jobs.preflight import check_early, check_training
from dainet.parallel.free_device import free_device
from dainet.settings import Settings

__all__ = ["STAGES", "run_named_stage"]

STAGES = ("data", "dino", "attention", "train", "scores")
_OF_ONE_NETWORK = ("train", "scores")


def run_named_stage(settings: Settings, name: str, network: str | None, seed: int | None) -> list[StageResult]:
    """Run a stage, or open it where it is finished; missing stages before it are run too.

    Args:
        settings: the run's settings.
        name: one of `STAGES`.
        network: as in `dainet.segmentation.catalog.build`; for "train" and "scores" only.
        seed: of the training; for "train" and "scores" only.

    Returns:
        What is now in the cache: one result, but two for "data", at the networks' and at the ViT's size.

    Raises:
        InputError: the stage or the device is unknown, or network and seed are missing, unknown or not needed; or as
            `dainet.jobs.preflight.check_training`.
    """
    if name not in STAGES:
        raise unknown("stage", name, STAGES)
    if (network is not None, seed is not None) != (name in _OF_ONE_NETWORK,) * 2:
        raise InputError(
            f"stage {name} with network {network} and seed {seed}; give --network and --seed for the stages "
            f"{' and '.join(_OF_ONE_NETWORK)}, and for no other stage"
        )
    if name == "data":  # needs no device, so it must not wait for one, nor must one be here
        named_device(settings.device)
        return [pipeline.prepare(settings).result, pipeline.prepare_for_vit(settings).result]
    if network is None:
        check_early(settings)
    else:
        check_training(settings, network)  # before it waits for a device
    with free_device(settings.device, settings.n_processes) as device:
        return _run(settings.model_copy(update={"device": device}), name, network or "", seed or 0)


def _run(settings: Settings, name: str, network: str, seed: int) -> list[StageResult]:
    if name == "dino":
        return [pipeline.finetune(settings)]
    if name == "attention":
        return [pipeline.attention(settings)]
    if name == "train":
        return [pipeline.segment(settings, network, seed)]
    return [pipeline.train(settings, network, seed).scored]
