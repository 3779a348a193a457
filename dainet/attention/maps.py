"""The CLS token's attention in the last block: one map per head, stored on the token grid, resized on use."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from timm.models.vision_transformer import Attention, Block
from torch import Tensor
from torch.nn import functional as F

from dainet.cache.atomic import growing_array, write_complete
from dainet.cache.store import UNFINISHED, StageResult, run_stage
from dainet.device import Device
from dainet.parallel import collectives
from dainet.parallel.launch import start_processes
from dainet.settings import AttentionSettings, Settings
from dainet.vit.model import DinoViT, input_size, set_fused_attention, to_vit_input

__all__ = [
    "AttentionGrid",
    "cls_attention",
    "extract",
    "network_maps",
    "normalise_maps",
    "open_attention",
    "resize_maps",
    "run_attention",
    "token_maps",
]

_VERSION = 1
_COPIED_TOGETHER = 1024  # maps


@dataclass(frozen=True)
class AttentionGrid:
    """What the stored maps are: heads, token grid (rows, columns), side of a patch and of the ViT's input in px."""

    heads: int
    grid: tuple[int, int]
    patch: int
    vit_size_px: int


class PreparedImages(Protocol):
    """The part of a prepared store that the ViT reads: float16 images [N, H, W] of about [0, 1] and where from."""

    @property
    def images(self) -> np.ndarray: ...

    @property
    def result(self) -> StageResult: ...


def cls_attention(vit: DinoViT, images: Tensor) -> Tensor:
    """Softmax attention of the CLS token to all tokens in the last block (paper section 3.2).

    Equals row 0 of `get_last_selfattention` in facebookresearch/dino visualize_attention.py, but computes the query
    for the CLS token only and skips values, projection and MLP of that block. The softmax is in float32.

    Args:
        vit: the transformer; in evaluation mode unless gradients through drop path are wanted.
        images: [B, 3, H, W], ImageNet-normalised, H and W multiples of the patch.

    Returns:
        [B, h, tokens] float32, tokens = CLS, registers, then patches row by row; each row sums to 1.

    Raises:
        ValueError: the last block is not timm's standard one, or the image is not a multiple of the patch.
    """
    block = vit.blocks[-1]
    if type(block) is not Block or type(block.attn) is not Attention:
        kind = type(getattr(block, "attn", block)).__name__
        raise ValueError(f"last block has the attention {kind}, expected timm's standard Block with Attention")
    _check_size(vit, images)
    x = vit.patch_drop(vit._pos_embed(vit.patch_embed(images)))
    x = vit.blocks[:-1](vit.norm_pre(x))
    return _cls_row(block.attn, block.norm1(x))


def token_maps(vit: DinoViT, images: Tensor) -> Tensor:
    """CLS attention to the patches only, on the token grid, not renormalised (PROTOCOL 4.3).

    Args:
        vit: the transformer.
        images: [B, 3, H, W], as for `cls_attention`.

    Returns:
        [B, h, H / patch, W / patch] float32; each map sums to at most 1.
    """
    attention = cls_attention(vit, images)[:, :, vit.num_prefix_tokens :]
    return attention.unflatten(2, (images.shape[-2] // vit.patch, images.shape[-1] // vit.patch))


def resize_maps(maps: Tensor, size: int, mode: Literal["nearest-bilinear", "bilinear"], vit_size_px: int) -> Tensor:
    """Token maps [B, h, gh, gw] -> [B, h, size, size] float32 (paper section 4.2; PROTOCOL 5.18).

    Args:
        maps: on the token grid.
        size: side in px.
        mode: "nearest-bilinear" repeats each token over its patch, up to the ViT's input, then goes down to `size`
            bilinearly, as DINO's visualisation followed by the paper's; "bilinear" goes straight from the grid.
        vit_size_px: side of the ViT's input.
    """
    maps = maps.float()
    if mode == "nearest-bilinear":
        maps = F.interpolate(maps, size=(vit_size_px, vit_size_px), mode="nearest")
    if maps.shape[-2:] == (size, size):
        return maps
    return F.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False)


def normalise_maps(maps: Tensor, mode: Literal["minmax", "tokens"], tokens: int) -> Tensor:
    """Bring raw softmax maps [B, h, H, W] to the scale that networks see (PROTOCOL 5.19).

    Args:
        maps: values of about 1 / tokens.
        mode: "minmax" stretches each map to [0, 1], a constant map to zeros; "tokens" multiplies by `tokens`.
        tokens: number of patches, so that uniform attention becomes 1.
    """
    if mode == "tokens":
        return maps * tokens
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    span = high - low
    return (maps - low).div_(torch.where(span > 0, span, torch.ones_like(span)))  # a second large tensor costs much


def network_maps(token_maps: Tensor, size: int, settings: AttentionSettings, vit_size_px: int) -> Tensor:
    """What the segmentation network is fed: token maps [B, h, gh, gw] -> [B, h, size, size], resized, then scaled."""
    tokens = token_maps.shape[-2] * token_maps.shape[-1]
    return normalise_maps(resize_maps(token_maps, size, settings.resize, vit_size_px), settings.normalisation, tokens)


def run_attention(
    settings: Settings,
    prepared_vit: PreparedImages,
    backbone: DinoViT,
    kind: str,
    inputs: Mapping[str, str],
    device: Device,
) -> StageResult:
    """Extract and store the maps of every prepared slice, or open what an earlier call left.

    Leaves `attention.npy` [N, h, gh, gw] float16, raw softmax values, row i = row i of the prepared store, and
    `attention.json` (see `open_attention`). Memory does not grow with N.

    Args:
        settings: `vit.image_size` is used; resizing and scaling happen on use.
        prepared_vit: the slices.
        backbone: left as it is; a copy goes to the device.
        kind: its name as in `dainet.pipeline.backbone`, for other processes that build it themselves.
        inputs: name -> key or hash of whatever identifies the backbone.
        device: where to compute.
    """

    def build(folder: Path) -> None:
        if settings.n_processes > 1:
            (folder / UNFINISHED).mkdir()
            start_processes("attention", settings, folder / UNFINISHED, kind=kind)
            _join(folder, settings.n_processes)
        else:
            extract(settings, prepared_vit.images, backbone, device, folder)

    size = input_size(backbone, settings.vit.image_size)
    values = {"vit_size_px": size, "compile": settings.attention.compile}
    return run_stage("attention", _VERSION, values, {"prepared": prepared_vit.result.key, **inputs}, build)


def open_attention(result: StageResult) -> tuple[np.ndarray, AttentionGrid]:
    """The memory-mapped maps [N, h, gh, gw] float16 of a finished attention stage, and what they are."""
    values = json.loads((result.path / "attention.json").read_text(encoding="utf-8"))
    info = AttentionGrid(values["heads"], tuple(values["grid"]), values["patch"], values["vit_size_px"])
    return np.load(result.path / "attention.npy", mmap_mode="c"), info


def _check_size(vit: DinoViT, images: Tensor) -> None:
    height, width = images.shape[-2:]
    if height % vit.patch or width % vit.patch:
        raise ValueError(
            f"image of {height} x {width} px, expected multiples of the patch, {vit.patch} px; "
            "use dainet.vit.model.input_size and to_vit_input"
        )


def _cls_row(attn: Attention, x: Tensor) -> Tensor:
    """Softmax of the CLS query against all keys; x [B, tokens, D] -> [B, h, tokens]."""
    dim, weight, bias = attn.num_heads * attn.head_dim, attn.qkv.weight, attn.qkv.bias
    query_bias, key_bias = (None, None) if bias is None else (bias[:dim], bias[dim : 2 * dim])
    query = F.linear(x[:, :1], weight[:dim], query_bias)
    key = F.linear(x, weight[dim : 2 * dim], key_bias)
    query, key = (t.unflatten(2, (attn.num_heads, attn.head_dim)).transpose(1, 2) for t in (query, key))
    query, key = attn.q_norm(query), attn.k_norm(key)  # [B, h, 1, d], [B, h, tokens, d]
    with torch.autocast(x.device.type, enabled=False):
        logits = (query.float() * attn.scale) @ key.float().transpose(-2, -1)
        return logits.softmax(-1).squeeze(2)


def extract(settings: Settings, images: np.ndarray, backbone: DinoViT, device: Device, folder: Path) -> None:
    """Write the maps of all images, see `run_attention`; each of several processes writes those of its share.

    Shares end where batches end, so that the maps are the same to the bit, however many processes there are.
    """
    size = input_size(backbone, settings.vit.image_size)
    vit = copy.deepcopy(backbone).to(device.torch_device).eval()
    set_fused_attention(vit, device.fused_attention)
    side = size // vit.patch
    grid = AttentionGrid(vit.heads, (side, side), vit.patch, size)
    maps_of = torch.compile(token_maps) if settings.attention.compile else token_maps
    starts = range(0, len(images), device.vit_batch)
    starts = starts[collectives.share(len(starts))]
    with growing_array(folder / _file_of(collectives.rank()), (vit.heads, side, side), np.float16) as append:
        for start, maps in _batches(partial(maps_of, vit), images, starts, size, device):
            if not torch.isfinite(maps).all():
                raise ValueError(f"attention of the slices from {start} is not finite; check backbone and images")
            append(maps.cpu().numpy())
    write_complete(folder / "attention.json", json.dumps(asdict(grid)))


def _file_of(rank: int) -> str:
    """Process 0 alone writes the name that stays."""
    return f"attention-{rank}.npy" if rank else "attention.npy"


def _join(folder: Path, processes: int) -> None:
    """Put the shares of all processes one after the other."""
    shares = [np.load(folder / UNFINISHED / _file_of(rank), mmap_mode="r") for rank in range(processes)]
    with growing_array(folder / "attention.npy", shares[0].shape[1:], np.float16) as append:
        for share in shares:
            for start in range(0, len(share), _COPIED_TOGETHER):
                append(share[start : start + _COPIED_TOGETHER])
    (folder / UNFINISHED / "attention.json").rename(folder / "attention.json")


@torch.inference_mode()
def _batches(
    maps_of: Callable[[Tensor], Tensor], images: np.ndarray, starts: range, size: int, device: Device
) -> Iterator[tuple[int, Tensor]]:
    for start in starts:
        batch = torch.from_numpy(np.array(images[start : start + device.vit_batch]))[:, None]  # [B, 1, H, W]
        with device.autocast():
            yield start, maps_of(to_vit_input(batch.to(device.torch_device), size))
