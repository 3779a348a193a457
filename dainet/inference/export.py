"""From a finished training in the cache to a bundle; nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dainet import pipeline
from dainet.cache.store import StageMissingError, finished_only
from dainet.errors import InputError
from dainet.inference.bundle import write_bundle
from dainet.inference.card import Card, VitCard, new_card, tensors_hash
from dainet.inference.facts import data_facts, scores, training_facts
from dainet.inference.licenses import choose_license, obligation
from dainet.pipeline import Trained
from dainet.segmentation.catalog import check_network, takes
from dainet.settings import Settings
from dainet.vit.checkpoints import timm_name, weights_file
from dainet.vit.model import DinoViT, load_vit

__all__ = ["export"]


def export(
    settings: Settings,
    network: str,
    seed: int,
    path: Path,
    license_: str | None = None,
    float16: bool = False,
    without_vit: bool = False,
) -> Card:
    """Write a finished and scored training as a bundle, see `dainet.inference.bundle`, and return its card.

    The ViT is contained unless the kit or timm offers the same; code of a network or a loss from outside never is, but
    the card has its hash. Equal trainings give equal bytes.

    Args:
        settings: those of the training.
        network: its name, as in `dainet.segmentation.catalog.build`.
        seed: its seed.
        path: the file, which ends with .safetensors; an older one is replaced.
        license_: SPDX identifier of the license that follows from the data; phantoms need none.
        float16: halve the file; weights are rounded to three digits.
        without_vit: leave the ViT out; who reads the bundle must have it.

    Raises:
        InputError: the training or its scores are not in the cache, the license is missing or unknown, or the network
            was trained with something else than the maps of a ViT: as a control, or with maps of a folder.
    """
    check_network(network)
    if path.suffix != ".safetensors":
        raise InputError(f"{path.name}: expected a file name that ends with .safetensors")
    if takes(network) != "image" and settings.attention.control != "none":
        found = f"attention.control={settings.attention.control}"
        raise InputError(f"{found}: the input of a control cannot be made for another scan; expected none")
    if takes(network) != "image" and settings.attention.maps:
        raise InputError("attention.maps: maps from a folder cannot be made for another scan; expected those of a ViT")
    chosen = choose_license(license_, phantoms=settings.data.source == "phantom")
    trained, vit, identity = _finished(settings, network, seed)
    of_data, of_training = data_facts(settings, pipeline.prepare(settings)), training_facts(settings, trained)
    of_training["stages"] |= {name: key for name, key in identity.items() if name == "dino"}
    tensors = _stored(trained.model.state_dict(), float16)
    vit_card, vit_tensors = _describe(vit, settings, identity, float16, without_vit) if vit else (None, {})
    card = new_card(
        **of_data,
        **of_training,
        scores=scores(trained.cases, of_training["network"], of_data["class_names"]),
        license=chosen,
        license_note=obligation(chosen),
        stored="float16" if float16 else "float32",
        network_sha256=tensors_hash(_as_read(tensors)),
        vit=vit_card,
    )
    write_bundle(path, card, tensors, vit_tensors)
    return card


def _finished(settings: Settings, network: str, seed: int) -> tuple[Trained, DinoViT | None, dict[str, str]]:
    """Open the training, and where it needs one the ViT with what identifies it in stage keys."""
    try:
        with finished_only():
            trained = pipeline.train(settings, network, seed)
            if takes(network) == "image":
                return trained, None, {}
            return trained, *pipeline.backbone(settings, settings.attention.backbone)
    except StageMissingError as error:
        raise InputError(
            f"{network}, seed {seed}: {error}; run dainet stage scores --network {network} --seed {seed} with the same "
            "options first, or name the --device that has trained it"
        ) from error


def _describe(
    vit: DinoViT, settings: Settings, identity: Mapping[str, str], float16: bool, without_vit: bool
) -> tuple[VitCard, dict[str, Tensor]]:
    """Return what the card says about the ViT, and its tensors where the bundle has to contain them."""
    kind, weights = settings.attention.backbone, settings.vit.weights
    state = dict(vit.state_dict())
    if tensors_hash(state) == tensors_hash(load_vit("tour").state_dict()):
        place, name = "shipped", "tour"
    elif kind == "pretrained" and weights != "random" and weights_file(weights) is None:
        place, name = "timm", timm_name(weights)
    else:
        name = _vit_name(settings, identity)
        place = "elsewhere" if without_vit else "contained"
    stored = _stored(state, float16) if place == "contained" else {}
    sha256 = tensors_hash(_as_read(stored or state))
    return VitCard(place=place, name=name, heads=vit.heads, width=vit.embed_dim, sha256=sha256), stored


def _vit_name(settings: Settings, identity: Mapping[str, str]) -> str:
    if settings.attention.backbone == "random":
        return f"random weights, seed {settings.attention.random_seed}"
    return (
        f"teacher.safetensors of the stage dino {identity['dino']}"
        if "dino" in identity
        else Path(settings.vit.weights).name
    )


def _stored(tensors: Mapping[str, Tensor], float16: bool) -> dict[str, Tensor]:
    """Return tensors as they are stored; whole numbers, such as those that count batches, stay what they are."""
    halved = {name: _halved(tensor) for name, tensor in tensors.items()} if float16 else dict(tensors)
    for name, tensor in halved.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"{name}: non-finite numbers (NaN or infinity) as stored; export without --float16")
    return halved


def _halved(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


def _as_read(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
