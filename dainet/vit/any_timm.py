"""Any vision transformer that timm names, or one of the kit, with the size and the scaling of its own input."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dainet.errors import InputError, unknown
from dainet.vit.checkpoints import fetch_timm, read_weights, timm_name, weights_file
from dainet.vit.model import IMAGENET_MEAN, IMAGENET_STD, load_vit

__all__ = ["AnyViT", "load_any_vit"]

_USED = ("blocks", "patch_embed", "num_prefix_tokens")  # what a ViT of timm has; networks of windows lack the last
_MOST_PATCHES = 10_000  # the attention of a head between as many takes 400 MB


@dataclass(frozen=True)
class AnyViT:
    """A vision transformer in evaluation mode, with the input that it was trained on.

    Its tokens are the prefix (CLS, then registers, where it has them), then the patches row by row.
    """

    module: Any
    name: str
    mean: tuple[float, ...]  # of the three channels of images in [0, 1]
    std: tuple[float, ...]
    size_px: int
    any_size: bool  # False: its positions belong to square images of size_px

    @property
    def patch(self) -> tuple[int, int]:
        """Height and width of a patch in px."""
        return self.module.patch_embed.feat_ratio(as_scalar=False)

    @property
    def has_cls(self) -> bool:
        """Whether there is a CLS token; it is token 0."""
        return getattr(self.module, "cls_token", None) is not None

    @property
    def prefix(self) -> int:
        """Tokens before the patches: CLS and registers."""
        return self.module.num_prefix_tokens

    def input_shape(self, height: int, width: int, size: int | None = None) -> tuple[int, int]:
        """Return height and width in px to which images of these sides are resized: whole patches, rounded down.

        The shorter side becomes `size`, by default the size that the ViT was trained on, and the shape is kept. A ViT
        whose positions belong to one size takes squares of this size.

        Raises:
            InputError: the size is smaller than a patch, gives too many patches, or is not the one that the ViT takes.
        """
        size = self.size_px if size is None else size
        if not self.any_size and size != self.size_px:
            raise InputError(
                f"{self.name} takes images of {self.size_px} px only, asked for {size}; leave the size out"
            )
        if size < max(self.patch):
            raise InputError(f"size {size} px is smaller than a patch of {self.name}, {max(self.patch)} px; enlarge it")
        if not self.any_size:
            return size, size
        short = min(height, width)
        rows, columns = (side * size // short // px for side, px in zip((height, width), self.patch, strict=True))
        if rows * columns > _MOST_PATCHES:
            raise InputError(
                f"{height} x {width} px become {rows} x {columns} patches of {self.name}; expected at most "
                f"{_MOST_PATCHES}; choose a smaller size"
            )
        return rows * self.patch[0], columns * self.patch[1]

    def to_input(self, images: Tensor, shape: tuple[int, int]) -> Tensor:
        """Convert images [B, 1 or 3, H, W] in [0, 1] to `[B, 3, *shape]`, resized bilinearly, with its mean and std."""
        resized = F.interpolate(images.float(), size=shape, mode="bilinear", align_corners=False, antialias=True)
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (resized - mean) / std


def load_any_vit(weights: str, model: str = "") -> AnyViT:
    """Load a vision transformer of any kind in evaluation mode and float32.

    Args:
        weights: any timm name, with its own size, mean and standard deviation; or "hub", "tour", "random" or a file as
            for `dainet.vit.model.load_vit`, with those of ImageNet.
        model: timm name of the model of which `weights` is a file with timm's tensor names; of random weights too.

    Raises:
        InputError: an unknown name, another kind of network, or a file that does not fit the model.
        FileNotFoundError: the file does not exist.
        ConnectionError: the hub does not answer.
    """
    if model:
        return _of_model(weights, model)
    path = weights_file(weights)
    if path is None and weights not in ("hub", "random"):
        name = timm_name(weights)
        return _described(name, fetch_timm(name, **_arguments(name)))
    vit = load_vit(weights)
    name = path.name if path is not None and weights != "tour" else weights
    return AnyViT(vit, name, IMAGENET_MEAN, IMAGENET_STD, vit.patch_embed.img_size[0], any_size=True)


def _of_model(weights: str, model: str) -> AnyViT:
    """Build a model with the tensors of a file, strictly, or with random ones of seed 0."""
    if not timm.is_model(model):
        raise unknown("model", model, timm.list_models())
    if weights != "random" and weights_file(weights) is None:
        raise InputError(f'{weights} is not a file; a model goes with a file, or with "random"; leave the model out')
    name = timm_name(model)
    arguments = _arguments(name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        vit: Any = timm.create_model(name, num_classes=0, **arguments)
    if weights == "random":
        return _described(f"{name} (random weights)", vit)
    state, _, origin = read_weights(weights)
    head = f"{vit.pretrained_cfg['classifier']}."
    try:
        vit.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith(head)})
    except RuntimeError as error:
        found = shorten(str(error), 500)
        raise InputError(f"{origin}: not the tensors of {name} with timm's names; {found}") from error
    return _described(f"{origin} ({name})", vit)


def _arguments(name: str) -> dict[str, Any]:
    """Return the arguments with which timm's model takes images of any size; refuses what is not a ViT.

    No weight is fetched or drawn for it.
    """
    with torch.device("meta"):
        blank: nn.Module = timm.create_model(name, num_classes=0)
    if not all(hasattr(blank, part) for part in _USED) or not hasattr(blank.patch_embed, "feat_ratio"):
        kind = type(blank).__name__
        raise InputError(
            f"{name} is a {kind}, with another kind of attention; expected a ViT whose blocks see all patches"
        )
    return {"dynamic_img_size": True} if hasattr(blank, "dynamic_img_size") else {}


def _described(name: str, vit: Any) -> AnyViT:
    cfg = vit.pretrained_cfg
    any_size = getattr(vit, "dynamic_img_size", False)
    return AnyViT(vit.float().eval(), name, cfg["mean"], cfg["std"], cfg["input_size"][-1], any_size)
