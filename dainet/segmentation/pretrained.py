"""Pre-trained weights for the encoders of those competitors that were published with some."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import timm
import torch
from torch import Tensor, nn

from dainet.cache.records import hash_file
from dainet.errors import InputError
from dainet.places import input_path
from dainet.segmentation.catalog import build
from dainet.segmentation.outside import is_outside
from dainet.vit.checkpoints import read_checkpoint, read_safetensors

__all__ = ["Pretrainable", "check_pretrained", "load_pretrained", "pretrainable", "pretrained_hash"]

log = logging.getLogger(__name__)
_HUB = "hub"


@runtime_checkable
class Pretrainable(Protocol):
    """A network whose encoder can start from weights of a timm model, which `pretrained_name` names."""

    pretrained_name: str

    def load_encoder(self, state: Mapping[str, Tensor]) -> list[str]:
        """Copy the tensors of the timm model into the encoder; return the names of those that have no place in it."""


def check_pretrained(weights: str, name: str) -> None:
    """Refuse weights for a network whose encoder takes none; code from outside is asked when it has been built.

    Args:
        weights: the setting segmentation.pretrained; empty = none.
        name: as in `dainet.segmentation.catalog.build`.

    Raises:
        InputError: as `load_pretrained`; or the network is unknown.
    """
    if weights and not is_outside(name):
        with torch.device("meta"):  # without memory, in any size
            pretrainable(build(name), name)


def pretrainable(model: nn.Module, name: str) -> Pretrainable:
    """Return the network as one that takes pre-trained weights.

    Raises:
        InputError: it takes none; the message has its name.
    """
    if not isinstance(model, Pretrainable):
        raise InputError(f"network {name} has no pre-trained weights; leave segmentation.pretrained empty for it")
    return model


def load_pretrained(model: nn.Module, name: str, weights: str) -> None:
    """Let the encoder of a network start from pre-trained weights, and log those that it has no place for.

    Args:
        model: the network, changed in place.
        name: its name, for messages.
        weights: "hub" for timm's model that the network names, or a file with its tensors (.safetensors, .pth, .pt).

    Raises:
        InputError: the network has no such encoder, or the file cannot be read or does not fit.
        ConnectionError: the hub gives no weights.
    """
    network = pretrainable(model, name)
    state = _from_hub(network.pretrained_name) if weights == _HUB else _from_file(input_path(weights))
    try:
        left = network.load_encoder(state)
    except (LookupError, RuntimeError, ValueError) as error:
        source = network.pretrained_name if weights == _HUB else Path(weights).name
        said = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{source} does not fit {name} ({said}); expected {network.pretrained_name} of timm"
        ) from error
    log.info("%s starts from %s; not used: %s", name, network.pretrained_name, ", ".join(left) or "none")


def pretrained_hash(weights: str) -> str:
    """Identify the weights in a stage key: SHA-256 of a file, or "hub"."""
    return _HUB if weights == _HUB else hash_file(_existing(input_path(weights)))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"segmentation.pretrained: {path.name} is not a file; expected a file of tensors, or hub")
    return path


def _from_hub(name: str) -> Mapping[str, Tensor]:
    try:
        state: Mapping[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # the hub's clients raise many unrelated kinds
        raise ConnectionError(
            f"{name}: the model hub gives no weights ({type(error).__name__}); fetch them elsewhere and set "
            "segmentation.pretrained to the file"
        ) from error
    return state


def _from_file(path: Path) -> Mapping[str, Tensor]:
    if _existing(path).suffix == ".safetensors":
        return read_safetensors(path)[0]
    content = read_checkpoint(path)
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
