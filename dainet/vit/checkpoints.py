"""Tensors of a ViT from timm and its hub, safetensors, or DINO's own checkpoints, without executing code in a file."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from dainet.cache.records import hash_file
from dainet.errors import InputError, reason, unknown
from dainet.places import input_path

__all__ = [
    "fetch_timm",
    "load_dino_center",
    "load_dino_head",
    "read_checkpoint",
    "read_safetensors",
    "read_weights",
    "timm_name",
    "timm_shape",
    "weights_file",
    "weights_hash",
]

_HUB_NAME = "vit_small_patch16_224.dino"  # paper section 4.2: DINO's ViT-S/16
_CHECKPOINT_SUFFIXES = (".pth", ".pt")
_ACCEPTED = ("hub", "tour", "random", "a timm name", "a .safetensors, .pth or .pt file")


def read_weights(weights: str) -> tuple[dict[str, Tensor], int | None, str]:
    """Read the tensors of a backbone with timm's names, its number of heads if known, and a name for messages.

    Args:
        weights: as `dainet.vit.model.load_vit`, except "random", which has no source.

    Raises:
        InputError, FileNotFoundError, ConnectionError: as `dainet.vit.model.load_vit`.
    """
    path = weights_file(weights)
    return (*_read_timm(weights), weights) if path is None else (*_read_file(path), path.name)


def weights_hash(weights: str, heads: int | None = None) -> str:
    """Identify the weights in a stage key: SHA-256 of a file, or timm's full name; with the number of heads if given.

    Raises:
        InputError, FileNotFoundError: as `load_vit`.
    """
    if weights == "random":
        return weights
    path = weights_file(weights)
    identity = timm_name(weights) if path is None else hash_file(path)
    return f"{identity}, {heads} heads" if heads else identity


def load_dino_head(weights: str, network: Literal["teacher", "student"]) -> dict[str, Tensor] | None:
    """Read the projection head of a full DINO checkpoint, names without "head."; None for every other source."""
    content = _full_checkpoint(weights)
    if content is None:
        return None
    state = _without_prefixes(content[network], Path(weights))
    return {name.removeprefix("head."): tensor for name, tensor in state.items() if name.startswith("head.")}


def load_dino_center(weights: str) -> Tensor | None:
    """Read the teacher's center [1, K] of a full DINO checkpoint (main_dino.py:278-287); None for other sources."""
    content = _full_checkpoint(weights)
    return None if content is None else _named_tensors(content.get("dino_loss", {}), Path(weights)).get("center")


def weights_file(weights: str) -> Path | None:
    """Return the file that `weights` names; None for a name without a file.

    Raises:
        InputError, FileNotFoundError: as `dainet.vit.model.load_vit`.
    """
    if weights in ("hub", "random"):
        return None
    path = (
        Path(str(files(__package__) / "weights" / "tour_vit.safetensors")) if weights == "tour" else input_path(weights)
    )
    if path.suffix not in (".safetensors", *_CHECKPOINT_SUFFIXES):
        if timm.is_model(weights):
            return None
        raise unknown("weights", weights, _ACCEPTED)
    if not path.is_file():
        raise FileNotFoundError(f"weights {weights!r}: the file does not exist; expected one of {', '.join(_ACCEPTED)}")
    return path


def timm_name(weights: str) -> str:
    """Return timm's full name of a model: without a tag, timm chooses the weights, and its next version may not agree.

    Raises:
        InputError: timm has no weights with this tag.
    """
    name = _HUB_NAME if weights == "hub" else weights
    try:
        chosen: Any = timm.get_pretrained_cfg(name)
    except RuntimeError:
        raise unknown("weights", weights, timm.list_pretrained(f"{name.partition('.')[0]}.*")) from None
    return f"{chosen.architecture}.{chosen.tag}"


def timm_shape(weights: str) -> tuple[int, int] | None:
    """Return patch side in px and heads of a model that timm names, without fetching its weights; None for a file.

    Raises:
        InputError, FileNotFoundError: as `dainet.vit.model.load_vit`.
    """
    if weights_file(weights) is not None:
        return None
    blank = _blank(timm_name(weights))
    return blank.patch_embed.patch_size[0], blank.blocks[-1].attn.num_heads


def _blank(name: str) -> Any:
    """Build a timm model without memory for weights, and refuse all but a plain ViT."""
    with torch.device("meta"):
        blank: Any = timm.create_model(name)
    block = blank.blocks[0] if type(blank) is VisionTransformer else None
    act = getattr(block.mlp, "act", None) if type(block) is Block else None  # other blocks compute something else
    if not isinstance(act, nn.GELU):
        inside = f" of blocks {type(block).__name__}, activation {type(act).__name__}" if block else ""
        found = f"{name} is a {type(blank).__name__}{inside}"
        raise InputError(f"{found}; expected a plain VisionTransformer, of blocks Block, activation GELU")
    return blank


def _read_timm(weights: str) -> tuple[dict[str, Tensor], int]:
    name = timm_name(weights)
    _blank(name)
    model = fetch_timm(name)
    return model.state_dict(), model.blocks[-1].attn.num_heads


def fetch_timm(name: str, **arguments: Any) -> Any:
    """Build a model that timm names, without classifier, with its weights from the hub.

    Raises:
        ConnectionError: the hub does not answer.
    """
    try:
        return timm.create_model(name, pretrained=True, num_classes=0, **arguments)
    except Exception as error:  # the hub's clients raise many unrelated kinds
        raise ConnectionError(
            f"{name}: the model hub gives no weights ({type(error).__name__}); fetch them elsewhere and pass "
            '--weights FILE (.safetensors or .pth), or "tour" for the small ViT shipped with the kit'
        ) from error


def _read_file(path: Path) -> tuple[dict[str, Tensor], int | None]:
    """Read the tensors of the backbone, without classifier or DINO's head, and the heads if the file stores them."""
    if path.suffix in _CHECKPOINT_SUFFIXES:
        content, metadata = read_checkpoint(path), dict[str, str]()
        state = _without_prefixes(content["teacher"] if _is_full(content) else content, path)
    else:
        state, metadata = read_safetensors(path)
    heads = metadata.get("heads")
    if heads and not re.fullmatch("[1-9][0-9]{0,3}", heads):
        raise InputError(f'{path.name}: "heads" in its metadata is {heads[:40]!r}; expected a whole number above 0')
    backbone = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    return backbone, int(heads) if heads else None


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a safetensors file, on the CPU, and its metadata; no code in a file is ever run.

    Raises:
        InputError: the file cannot be read, is no safetensors file, or claims more than it holds.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, AttributeError) as error:  # AttributeError: a data type that torch lacks
        said = shorten(reason(error, path), 200)
        raise InputError(f"{path.name}: not a readable safetensors file ({said}); fetch it again") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a file of torch that holds a dictionary of plain tensors, on the CPU; no code in a file is ever run.

    Raises:
        InputError: the file is damaged, or holds anything else.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # DINO stores its command line under "args"
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make torch raise almost any error
        found = (
            f"{path.name}: refused, because it is damaged or holds more than plain tensors ({_what_torch_says(error)})"
        )
        raise InputError(f"{found}; fetch it again, or give a .safetensors file") from error
    if not isinstance(content, dict):
        raise InputError(f"{path.name}: found a {type(content).__name__}; expected a dictionary of tensors")
    return content


def _what_torch_says(error: Exception) -> str:
    """Describe an error of torch without its advice to load the file in a way that runs the code in it."""
    said = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    return shorten(re.split(r"\. Please|\n", said)[0], 200) or type(error).__name__


def _full_checkpoint(weights: str) -> dict[str, Any] | None:
    path = weights_file(weights)
    if path is None or path.suffix not in _CHECKPOINT_SUFFIXES:
        return None
    content = read_checkpoint(path)
    return content if _is_full(content) else None


def _is_full(content: Mapping[str, Any]) -> bool:
    return {"student", "teacher"} <= content.keys()


def _without_prefixes(state: Any, path: Path) -> dict[str, Tensor]:
    tensors = _named_tensors(state, path)
    return {name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in tensors.items()}


def _named_tensors(state: Any, path: Path) -> Mapping[str, Tensor]:
    """Check that a checkpoint holds tensors by name; a few bytes can claim one that fills the memory."""
    if not isinstance(state, Mapping):
        raise InputError(f"{path.name}: found a {type(state).__name__}; expected a dictionary of tensors")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            found = f"{str(name)[:80]!r} is a {type(tensor).__name__}"
            raise InputError(f"{path.name}: {found}; expected named tensors, of a backbone or a full DINO checkpoint")
        if tensor.layout != torch.strided or tensor.numel() * tensor.element_size() > path.stat().st_size:
            raise InputError(f"{path.name}: {name[:80]!r} is sparse or larger than the file; fetch it again")
    return state
