"""A trained network in one file: its tensors, those of the ViT that it needs, and its card; never any code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from textwrap import shorten

import timm
import torch
from torch import Tensor, nn

from dainet.cache.atomic import write_tensors
from dainet.device import Device
from dainet.errors import InputError, unknown
from dainet.inference.card import Card, VitCard, parse_card, tensors_hash, write_card
from dainet.protocol import Classes
from dainet.segmentation.catalog import takes
from dainet.segmentation.outside import is_outside, outside_label, source_hash
from dainet.segmentation.stage import build_network
from dainet.settings import Settings
from dainet.vit.checkpoints import read_safetensors
from dainet.vit.model import DinoViT, build_vit, load_vit

__all__ = ["Bundle", "read_bundle", "read_card", "shipped_bundles", "write_bundle"]

_NETWORK, _VIT, _CARD = "network.", "vit.", "card"


@dataclass(frozen=True)
class Bundle:
    """A network that was read: its card, its settings and classes, the network on the device, and the ViT.

    `settings` are those of its training without a loss or maps from outside, which the card names. `model` is in
    evaluation mode and in float32. `vit` is None where the network takes the image alone, and stays on the CPU
    otherwise.
    """

    card: Card
    settings: Settings
    classes: Classes
    model: nn.Module
    vit: DinoViT | None


def shipped_bundles() -> dict[str, Path]:
    """Return the bundles that the kit contains, by name."""
    folder = Path(str(files(__package__) / "bundles"))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def write_bundle(path: Path, card: Card, network: Mapping[str, Tensor], vit: Mapping[str, Tensor]) -> None:
    """Write a bundle; equal content gives equal bytes.

    Args:
        path: the file; its folder is created if it is not there.
        card: its card.
        network: tensors of the network, in the type in which they are stored.
        vit: those of the ViT; empty where it is not contained.
    """
    tensors = {_NETWORK + name: tensor for name, tensor in network.items()}
    tensors |= {_VIT + name: tensor for name, tensor in vit.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    # One entry only: the library writes several in an order that changes from call to call.
    write_tensors(tensors, path, {_CARD: write_card(card)})


def read_card(source: str) -> Card:
    """Read the card of a bundle: a name as in `shipped_bundles`, or a file.

    Raises:
        InputError: as `read_bundle`.
    """
    return _read(source)[0]


def read_bundle(source: str, device: Device, weights: str | None = None, network: str | None = None) -> Bundle:
    """Read a bundle: a name as in `shipped_bundles`, or a file.

    Args:
        source: the name or the file.
        device: where the network goes.
        weights: the ViT, as for `dainet.vit.model.load_vit`, of a bundle that does not contain it.
        network: FILE.py:NAME or PACKAGE.MODULE:NAME of a network from outside, whose code no bundle contains.

    Raises:
        InputError: unknown name, not a bundle, a card that this kit cannot read, tensors that do not fit it, a ViT that
            is not found, is not needed or is another one than the network was trained with, or the same of the code of
            a network.
    """
    card, tensors, origin = _read(source)
    model = _network(card, _below(_NETWORK, tensors), origin, _trusted(card, origin, network))
    vit = _vit(card, _below(_VIT, tensors), origin, weights)
    model.to(device.torch_device, memory_format=device.memory_format)  # type: ignore[call-overload]
    return Bundle(card, _without_code(card.settings), card.classes, model.eval(), vit)


def _without_code(settings: Settings) -> Settings:
    """Return settings that name no code to be run and no folder to be read: a card is a stranger's text."""
    own = {"segmentation": {"loss": ""}, "attention": {"maps": ""}}
    return settings.model_copy(
        update={group: getattr(settings, group).model_copy(update=values) for group, values in own.items()}
    )


def _read(source: str) -> tuple[Card, dict[str, Tensor], str]:
    path = shipped_bundles().get(source, Path(source))
    if path.suffix != ".safetensors":
        raise unknown("model", source, (*shipped_bundles(), "a .safetensors file of dainet export"))
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"model {source!r} {found}; expected a file that dainet export wrote")
    tensors, metadata = read_safetensors(path)
    if _CARD not in metadata:
        raise InputError(f"{path.name}: a safetensors file without a card; expected a file of dainet export")
    card = parse_card(metadata[_CARD], path.name)
    strange = [name for name in tensors if not name.startswith((_NETWORK, _VIT))]
    if strange:
        raise InputError(f"{path.name}: the tensor {strange[0][:80]!r} is of no network and no ViT; fetch it again")
    return card, tensors, path.name


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _trusted(card: Card, origin: str, network: str | None) -> str:
    """Return the name of the network to build; code comes from the user, after a comparison with the card's hash."""
    if card.source_sha256 is None:
        if network is not None:
            raise InputError(f"{origin}: its network {card.network} is one of the kit; leave out --network")
        return card.network
    wanted = f"{card.network[:80]} (SHA-256 {card.source_sha256[:12]}...)"
    if network is None:
        raise InputError(f"{origin}: a bundle carries no code; give that of its network, {wanted}, as --network")
    if not is_outside(network):
        raise InputError(f"{origin}: found --network {network}, one of the kit; expected the code of {wanted}")
    if (outside_label(network), found := source_hash(network)) != (card.network, card.source_sha256):
        given = f"{outside_label(network)} (SHA-256 {found[:12]}...)"
        raise InputError(f"{origin}: {given} is not the code that was trained, {wanted}; give that")
    if takes(network) != card.takes:
        raise InputError(f"{origin}: card and code disagree about what {card.network[:80]!r} takes; fetch it again")
    return network


def _network(card: Card, state: Mapping[str, Tensor], origin: str, name: str) -> nn.Module:
    """Build the network with its tensors; without memory first, for a card can claim any size."""
    heads, width = (card.vit.heads, card.vit.width) if card.vit else (0, 0)
    arguments = (card.settings.segmentation, name, heads, len(card.class_names), width)
    try:
        if not is_outside(name):  # whose code may read numbers, which this device does not have
            with torch.device("meta"):
                _same_shapes(build_network(*arguments).state_dict(), state)
        model = build_network(*arguments)
        _same_shapes(model.state_dict(), state)
        model.load_state_dict(state, strict=True)
    except InputError:  # a library is missing
        raise
    except (ValueError, RuntimeError, TypeError) as error:
        found = shorten(str(error), 300)
        raise InputError(f"{origin}: not the tensors of {card.network[:80]!r} ({found}); fetch it again") from error
    if not all(torch.isfinite(tensor).all() for tensor in model.state_dict().values()):
        raise InputError(f"{origin}: non-finite tensors (NaN or infinity) in the network; fetch it again")
    if tensors_hash(model.state_dict()) != card.network_sha256:
        raise InputError(f"{origin}: its tensors are not those that its card names; fetch it again")
    return model


def _same_shapes(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for name in sorted(expected.keys() | found.keys()):
        shapes = [tuple(state[name].shape) if name in state else None for state in (expected, found)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{name[:80]}: found the shape {shapes[1]}, expected {shapes[0]}")


def _vit(card: Card, state: Mapping[str, Tensor], origin: str, weights: str | None) -> DinoViT | None:
    contained = card.vit is not None and card.vit.place == "contained"
    if (card.vit is None) != (card.takes == "image") or contained != bool(state):
        raise InputError(f"{origin}: card and tensors disagree about the ViT of {card.network[:80]!r}; fetch it again")
    if weights is not None and (card.vit is None or state or card.vit.place == "shipped"):
        own = "takes none" if card.vit is None else "has its own"
        raise InputError(f"{origin}: found the ViT {weights}, and its network {own}; leave out --weights")
    if card.vit is None:
        return None
    vit = build_vit(state, card.vit.heads, origin) if state else _elsewhere(card.vit, origin, weights)
    found = tensors_hash(vit.state_dict()), vit.heads, vit.embed_dim
    if found != (card.vit.sha256, card.vit.heads, card.vit.width):
        which = "its ViT" if state else f"the ViT {weights or card.vit.name}"
        raise InputError(f"{origin}: {which} is not the one that the network was trained with, {_named(card.vit)}")
    return vit


def _elsewhere(vit: VitCard, origin: str, weights: str | None) -> DinoViT:
    """Load a ViT that the bundle does not contain: the kit's own, the given one, or the one of timm that it names."""
    if vit.place == "shipped":
        return load_vit("tour")
    if weights is None and vit.place == "timm" and timm.is_model(vit.name):  # a name, never a file
        return load_vit(vit.name)
    if weights is None:
        raise InputError(f"{origin} does not contain the ViT that its network needs; give the weights {_named(vit)}")
    return load_vit(weights, heads=vit.heads)


def _named(vit: VitCard) -> str:
    return f"{vit.name} (tensors with SHA-256 {vit.sha256[:12]}...)"
