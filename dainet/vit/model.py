"""The vision transformer that makes the maps; its architecture follows from its weights, which are loaded strictly."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from dainet.cache.atomic import write_tensors
from dainet.errors import InputError
from dainet.vit.checkpoints import read_weights, timm_shape
from dainet.vit.shapes import agreed_heads, architecture_of

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "DinoViT",
    "build_vit",
    "fix_input_size",
    "head_count",
    "input_size",
    "load_vit",
    "patch_side",
    "randomized",
    "save_vit",
    "set_fused_attention",
    "to_vit_input",
]

log = logging.getLogger(__name__)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_VIT_S16 = {"img_size": 224, "patch_size": 16, "embed_dim": 384, "depth": 12, "num_heads": 6}


class DinoViT(VisionTransformer):
    """A ViT without classification head whose position embedding follows DINO's formula at every input size.

    `vit(images)` maps [B, 3, H, W] (H and W multiples of `patch`, ImageNet-normalized) to the normalized CLS
    embedding [B, D]. Layer norms use eps 1e-6 (facebookresearch/dino vision_transformer.py:243-247).

    Args:
        architecture: arguments of timm's VisionTransformer that determine the shapes, kept in `.architecture`.
    """

    pos_embed: nn.Parameter

    def __init__(self, **architecture: Any) -> None:
        norm_layer = partial(nn.LayerNorm, eps=1e-6)
        super().__init__(num_classes=0, dynamic_img_size=True, norm_layer=norm_layer, **architecture)
        self.architecture = dict(architecture)

    @property
    def patch(self) -> int:
        """Side of a square patch in px."""
        return self.patch_embed.patch_size[0]

    @property
    def heads(self) -> int:
        """Attention heads of the last block."""
        return int(self.architecture["num_heads"])

    def _pos_embed(self, x: Tensor) -> Tensor:
        prefix = torch.cat([t for t in (self.cls_token, self.reg_token) if t is not None], dim=1)  # [1, P, D]
        embedded = 0 if self.no_embed_class else self.num_prefix_tokens
        if embedded:
            prefix = prefix + self.pos_embed[:, :embedded]
        grid = _resample_grid(self.pos_embed[:, embedded:], self.patch_embed.grid_size, (x.shape[1], x.shape[2]))
        tokens = x.flatten(1, 2) + grid  # [B, gh, gw, D] -> [B, gh gw, D]
        return self.pos_drop(torch.cat([prefix.expand(len(x), -1, -1).to(tokens.dtype), tokens], dim=1))


def _resample_grid(embedding: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """[1, old tokens, D] -> [1, new tokens, D], bicubic without antialiasing, scale (new + 0.1) / old per side.

    facebookresearch/dino vision_transformer.py:174-194 (interpolate_pos_encoding); docs/protocol.md#4.2.
    """
    if old == new:
        return embedding
    grid = embedding.unflatten(1, old).permute(0, 3, 1, 2)  # [1, D, gh, gw]
    scale = ((new[0] + 0.1) / old[0], (new[1] + 0.1) / old[1])
    return F.interpolate(grid, scale_factor=scale, mode="bicubic").flatten(2).transpose(1, 2)


def load_vit(weights: str, drop_path: float = 0.0, heads: int | None = None) -> DinoViT:
    """Load a ViT in evaluation mode and float32; the architecture follows from the tensor shapes.

    Args:
        weights: "hub" (DINO's ViT-S/16 through timm), "tour" (the small ViT that the kit contains), "random" (ViT-S/16,
            seed 0), any timm name of a plain VisionTransformer, a .safetensors file with timm's tensor names, or a
            backbone or full checkpoint of facebookresearch/dino (the teacher is used).
        drop_path: stochastic depth rate of the deepest block in training mode (DINO's student: 0.1).
        heads: attention heads of a file that does not store them. Files of the kit do; those of timm and of DINO do
            not, and without `heads` only the shapes of known ViTs (ViT-S, ViT-B ...) are read.

    Raises:
        InputError: unknown name, refused or unsuitable file, missing or unexpected tensors, an unknown number of heads;
            the message names them.
        FileNotFoundError: the file does not exist.
        ConnectionError: the hub does not answer.
    """
    if weights == "random":
        agreed_heads(_VIT_S16["num_heads"], heads, weights)
        return _seeded(_VIT_S16 | {"drop_path_rate": drop_path}, seed=0)
    state, stored, origin = read_weights(weights)
    return build_vit(state, agreed_heads(stored, heads, origin), origin, drop_path)


def build_vit(state: Mapping[str, Tensor], heads: int | None, origin: str, drop_path: float = 0.0) -> DinoViT:
    """Build the ViT, in evaluation mode and float32, whose tensors with timm's names are given.

    Args:
        state: the tensors.
        heads: attention heads of its blocks; None takes those of a known ViT of this shape.
        origin: name of the weights, for messages.
        drop_path: as for `load_vit`.

    Raises:
        InputError: missing or unexpected tensors, or a number of heads that is unknown or does not fit.
    """
    architecture = architecture_of(state, heads, origin) | {"drop_path_rate": drop_path}
    with torch.device("meta"):
        vit = DinoViT(**architecture)
    try:
        vit.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=True, assign=True)
    except RuntimeError as error:
        found = shorten(str(error), 500)
        raise InputError(f"{origin}: not a plain ViT with timm's tensor names; {found}") from error
    log.debug("%s: %d blocks, width %d, %d heads", origin, len(vit.blocks), vit.embed_dim, vit.heads)
    return vit.eval()


def patch_side(weights: str, heads: int | None = None) -> int:
    """Return the side of a patch in px of weights and heads as for `load_vit`; nothing is fetched from a hub.

    Raises:
        InputError, FileNotFoundError: as `load_vit`.
    """
    return _shape(weights, heads)[0]


def head_count(weights: str, heads: int | None = None) -> int:
    """Return the attention heads, so many maps, of weights and heads as for `load_vit`; nothing is fetched from a hub.

    Raises:
        InputError, FileNotFoundError: as `load_vit`.
    """
    return _shape(weights, heads)[1]


def _shape(weights: str, heads: int | None) -> tuple[int, int]:
    random = _VIT_S16["patch_size"], _VIT_S16["num_heads"]
    if known := random if weights == "random" else timm_shape(weights):
        agreed_heads(known[1], heads, weights)
        return known
    vit = load_vit(weights, heads=heads)
    return vit.patch, vit.heads


def save_vit(vit: DinoViT, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a ViT as safetensors with timm's names; its number of heads is added to the metadata."""
    write_tensors(vit.state_dict(), path, {**(metadata or {}), "heads": str(vit.heads)})


def set_fused_attention(module: nn.Module, fused: bool) -> None:
    """Set every attention layer of timm inside `module` to torch's fused kernel or to plain softmax attention."""
    for layer in module.modules():
        if hasattr(layer, "fused_attn"):
            layer.fused_attn = fused  # type: ignore[assignment]


def fix_input_size(vit: DinoViT, size: int) -> None:
    """Resample the position embedding once for images of `size` px, instead of in every pass, with the same bits.

    This is for a copy that is not trained, and that sees images of no other size.
    """
    side, embedded = size // vit.patch, 0 if vit.no_embed_class else vit.num_prefix_tokens
    prefix, grid = vit.pos_embed.detach().tensor_split((embedded,), dim=1)
    grid = _resample_grid(grid, vit.patch_embed.grid_size, (side, side))
    vit.pos_embed = nn.Parameter(torch.cat([prefix, grid], dim=1), requires_grad=False)
    vit.patch_embed.grid_size = (side, side)


def randomized(vit: DinoViT, seed: int) -> DinoViT:
    """Return the same architecture with timm's random weights, on the same device; spares the global generator."""
    device = next(vit.parameters()).device
    return _seeded(vit.architecture, seed).to(device)


def input_size(vit: DinoViT, requested_px: int) -> int:
    """Return the side of the ViT's input in px: the requested one, rounded down to whole patches as DINO's script does.

    Raises:
        InputError: the requested side is smaller than one patch.
    """
    if requested_px < vit.patch:
        raise InputError(f"image size {requested_px} px is smaller than one patch of {vit.patch} px; enlarge it")
    return requested_px // vit.patch * vit.patch


def to_vit_input(images: Tensor, size: int) -> Tensor:
    """Convert gray images [B, 1, H, W] in about [0, 1] to [B, 3, size, size] float32 with ImageNet mean and std.

    The three channels are equal; images of another size are resized bilinearly.
    """
    images = images.float()
    if images.shape[-2:] != (size, size):
        images = F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    # Numbers, not tensors: those would have to be copied to a GPU each time.
    channels = [(images - mean) / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    return torch.cat(channels, dim=1)


def _seeded(architecture: Mapping[str, Any], seed: int) -> DinoViT:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return DinoViT(**architecture).eval()
