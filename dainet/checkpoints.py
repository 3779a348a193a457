"""Where the tensors of a ViT come from: timm and its hub, safetensors, DINO's own checkpoints; never executed code."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from dainet.store import hash_file

__all__ = ["load_dino_center", "load_dino_head", "read_weights", "weights_hash"]

_HUB_NAME = "vit_small_patch16_224.dino"  # paper section 4.2: DINO's ViT-S/16
_CHECKPOINT_SUFFIXES = (".pth", ".pt")
_ACCEPTED = '"hub", "tour", "random", a timm name, or a .safetensors, .pth or .pt file'


def read_weights(weights: str) -> tuple[dict[str, Tensor], int | None, str]:
    """Tensors of a backbone with timm's names, its number of heads where the source tells, and a name for messages.

    Args:
        weights: as `dainet.vit.load_vit`, but "random", which has no source.

    Raises:
        ValueError, FileNotFoundError, ConnectionError: as `dainet.vit.load_vit`.
    """
    path = _weights_file(weights)
    return (*_read_timm(weights), weights) if path is None else (*_read_file(path), path.name)


def weights_hash(weights: str) -> str:
    """What identifies the weights in a stage key: SHA-256 of a file, else the name.

    Raises:
        ValueError, FileNotFoundError: as `load_vit`.
    """
    path = _weights_file(weights)
    return (_HUB_NAME if weights == "hub" else weights) if path is None else hash_file(path)


def load_dino_head(weights: str, network: Literal["teacher", "student"]) -> dict[str, Tensor] | None:
    """The projection head in a full DINO checkpoint, names without "head."; None for every other source."""
    content = _full_checkpoint(weights)
    if content is None:
        return None
    state = _without_prefixes(content[network])
    return {name.removeprefix("head."): tensor for name, tensor in state.items() if name.startswith("head.")}


def load_dino_center(weights: str) -> Tensor | None:
    """The teacher's centre [1, K] in a full DINO checkpoint (main_dino.py:278-287); None for every other source."""
    content = _full_checkpoint(weights)
    return None if content is None else content.get("dino_loss", {}).get("center")


def _weights_file(weights: str) -> Path | None:
    """The file behind `weights`, or None for a name that needs none."""
    if weights in ("hub", "random"):
        return None
    path = Path(str(files("dainet") / "weights" / "tour_vit.safetensors")) if weights == "tour" else Path(weights)
    if path.suffix not in (".safetensors", *_CHECKPOINT_SUFFIXES):
        if timm.is_model(weights):
            return None
        raise ValueError(f"weights {weights!r} are neither a known name nor a known kind of file; give {_ACCEPTED}")
    if not path.is_file():
        raise FileNotFoundError(f"weights {weights!r}: no such file; give {_ACCEPTED}")
    return path


def _read_timm(weights: str) -> tuple[dict[str, Tensor], int]:
    name = _HUB_NAME if weights == "hub" else weights
    with torch.device("meta"):
        blank: Any = timm.create_model(name)
    act = getattr(blank.blocks[0].mlp, "act", None) if type(blank) is VisionTransformer else None
    if not isinstance(act, nn.GELU):
        raise ValueError(f"{name} is a {type(blank).__name__}, expected a plain VisionTransformer with GELU")
    try:
        model: Any = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # the hub's clients raise many unrelated kinds
        raise ConnectionError(
            f"{name}: the model hub gave no weights ({type(error).__name__}); fetch them elsewhere and pass "
            '--weights FILE (.safetensors or .pth), or "tour" for the small ViT shipped with the kit'
        ) from error
    return model.state_dict(), model.blocks[-1].attn.num_heads


def _read_file(path: Path) -> tuple[dict[str, Tensor], int | None]:
    """Tensors of the backbone, and the number of heads where the file tells."""
    if path.suffix in _CHECKPOINT_SUFFIXES:
        content = _load_checkpoint(path)
        state = _without_prefixes(content["teacher"] if _is_full(content) else content)
        return {name: tensor for name, tensor in state.items() if not name.startswith("head.")}, None
    try:
        with safe_open(path, framework="pt") as file:
            heads = (file.metadata() or {}).get("heads")
            return {name: file.get_tensor(name) for name in file.keys()}, int(heads) if heads else None  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path.name}: not a readable safetensors file ({error})") from error


def _load_checkpoint(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # DINO stores its command line under "args"
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path.name}: refused, more than plain tensors, or damaged ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name}: found a {type(content).__name__}, expected a dictionary of tensors")
    return content


def _full_checkpoint(weights: str) -> dict[str, Any] | None:
    path = _weights_file(weights)
    if path is None or path.suffix not in _CHECKPOINT_SUFFIXES:
        return None
    content = _load_checkpoint(path)
    return content if _is_full(content) else None


def _is_full(content: Mapping[str, Any]) -> bool:
    return {"student", "teacher"} <= content.keys()


def _without_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in state.items()}
