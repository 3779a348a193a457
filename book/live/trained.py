"""Which networks the live page has, and their finished trainings in the cache; nothing is trained here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dainet import pipeline
from dainet.cache.store import StageMissingError, finished_only
from dainet.data.prepared import Prepared
from dainet.errors import InputError
from dainet.pipeline import Trained
from dainet.segmentation.slices import SliceData
from dainet.settings import Settings, load_settings
from dainet.vit.model import DinoViT

__all__ = ["ORGANS", "SEED", "Finished", "Organ", "check_finished", "open_finished"]

SEED = 0


@dataclass(frozen=True)
class Organ:
    """What the page shows of one data set: a title, its networks, and settings other than the tour's."""

    title: str
    networks: tuple[str, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> Settings:
        """Return the settings of its trainings, on the CPU, from which ONNX is written."""
        return load_settings("tour", {"device": "cpu", **self.overrides})


# All rows of Table 3 for the heart.
ORGANS = {
    "heart": Organ("Heart", ("unet", "single", "dual-0000", "dual-0001", "dual-0111", "dual-1111")),
    "abdomen": Organ("Abdomen", ("unet", "single", "dual-0000", "dual-1111"), {"data.dataset": "synapse"}),
}


@dataclass(frozen=True)
class Finished:
    """The finished trainings of one data set: slices with maps, slices for the ViT, the ViT, and its networks."""

    settings: Settings
    data: SliceData
    vit_images: Prepared
    vit: DinoViT
    vit_stages: dict[str, str]  # what identifies the ViT: name of a stage -> key
    networks: tuple[Trained, ...]


def check_finished(organs: Iterable[Organ]) -> None:
    """Check that every training is finished and scored.

    Raises:
        InputError: some are not; the message has the commands that compute them.
    """
    missing = [_command(organ, name) for organ in organs for name in organ.networks if not _is_finished(organ, name)]
    if missing:
        raise InputError("\n".join(["the cache lacks trainings of the live page; run first", *missing]))


def open_finished(organ: Organ) -> Finished:
    """Open the trainings of a data set from the cache.

    Raises:
        StageMissingError: one is not finished, see `check_finished`.
    """
    settings = organ.settings()
    with finished_only():
        trained = tuple(pipeline.train(settings, name, SEED) for name in organ.networks)
        vit, stages = pipeline.backbone(settings, settings.attention.backbone)
        data, vit_images = pipeline.slice_data(settings, with_maps=True), pipeline.prepare_for_vit(settings)
    return Finished(settings, data, vit_images, vit, stages, trained)


def _is_finished(organ: Organ, network: str) -> bool:
    try:
        with finished_only():
            pipeline.train(organ.settings(), network, SEED)
    except StageMissingError:
        return False
    return True


def _command(organ: Organ, network: str) -> str:
    dataset = organ.settings().data.dataset
    return f"  dainet stage scores --dataset {dataset} --network {network} --seed {SEED} --device cpu"
