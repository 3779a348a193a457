"""Attention maps, or features, as a stage of the cache: extracted once for every slice, stored on the token grid."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from dainet.attention.features import token_features
from dainet.attention.maps import token_maps
from dainet.cache.atomic import growing_array, write_complete
from dainet.cache.store import UNFINISHED, StageResult, run_stage
from dainet.cuda_graphs import recorded
from dainet.device import Device, enough_memory
from dainet.errors import NonFiniteError
from dainet.parallel import collectives
from dainet.parallel.launch import run_task
from dainet.settings import Settings
from dainet.vit.model import DinoViT, fix_input_size, input_size, set_fused_attention, to_vit_input

__all__ = [
    "AttentionGrid",
    "What",
    "extract",
    "extractor",
    "grid_of",
    "open_attention",
    "run_attention",
    "slices_extractor",
    "write_grid",
]

_VERSION = 2
_COPIED_TOGETHER = 1024  # slices
What = Literal["maps", "features"]


@dataclass(frozen=True)
class AttentionGrid:
    """Geometry of the stored maps: heads, token grid (rows, columns), side of a patch and of the ViT's input in px.

    Of stored features, `heads` is their width D. Maps that no ViT has made (`dainet.attention.given`) have no patches,
    and `patch` and `vit_size_px` are 0.
    """

    heads: int
    grid: tuple[int, int]
    patch: int
    vit_size_px: int


class PreparedImages(Protocol):
    """The part of a prepared store that the ViT reads: float16 images [N, H, W] in about [0, 1] and their stage."""

    @property
    def images(self) -> np.ndarray: ...

    @property
    def result(self) -> StageResult: ...


def run_attention(
    settings: Settings,
    prepared_vit: PreparedImages,
    backbone: DinoViT,
    kind: str,
    inputs: Mapping[str, str],
    device: Device,
    what: What = "maps",
) -> StageResult:
    """Extract and store the maps or features of every prepared slice, or open what an earlier call left.

    The stage leaves `attention.npy` [N, h, gh, gw] float16, raw softmax values with the rows of the prepared store, or
    features [N, D, gh, gw], and `attention.json` (see `open_attention`). Memory does not grow with N.

    Args:
        settings: `vit.image_size` is used; resizing and scaling happen on use.
        prepared_vit: the slices.
        backbone: the ViT; a copy goes to the device, and the original is not changed.
        kind: its name as in `dainet.pipeline.backbone`, from which several processes build it themselves.
        inputs: name -> key or hash of what identifies the backbone.
        device: where to compute.
        what: see `dainet.attention.maps.token_maps` and `dainet.attention.features.token_features`.
    """

    def build(folder: Path) -> None:
        shares, images = folder / UNFINISHED, prepared_vit.images
        shares.mkdir()
        run_task(
            "attention",
            settings,
            shares,
            lambda: extract(settings, images, backbone, device, shares, what),
            kind=kind,
            what=what,
        )
        _join(folder, settings.n_processes)

    size = input_size(backbone, settings.vit.image_size)
    values = {"vit_size_px": size, "compile": settings.attention.compile, "precision": device.precision}
    if what == "features":
        values["what"] = what
    return run_stage("attention", _VERSION, values, {"prepared": prepared_vit.result.key, **inputs}, build)


def open_attention(result: StageResult) -> tuple[np.ndarray, AttentionGrid]:
    """Open the memory-mapped maps [N, h, gh, gw] float16 of a finished attention stage, with their geometry."""
    grid = result.read("attention.json", _read_grid)
    return result.read("attention.npy", lambda path: _open_maps(path, grid)), grid


def write_grid(folder: Path, grid: AttentionGrid) -> None:
    """Write the geometry of the maps in a folder, for `open_attention`."""
    write_complete(folder / "attention.json", json.dumps(asdict(grid)))


def _read_grid(path: Path) -> AttentionGrid:
    values = json.loads(path.read_text(encoding="utf-8"))
    return AttentionGrid(values["heads"], tuple(values["grid"]), values["patch"], values["vit_size_px"])


def _open_maps(path: Path, grid: AttentionGrid) -> np.ndarray:
    maps = np.load(path, mmap_mode="c")
    if maps.shape[1:] != (grid.heads, *grid.grid):
        raise ValueError(f"found maps of the shape {maps.shape[1:]}, expected {(grid.heads, *grid.grid)}")
    return maps


def grid_of(vit: DinoViT, image_size: int, what: What = "maps") -> AttentionGrid:
    """Return the geometry of what a ViT makes of images of `image_size` px, rounded down to whole patches."""
    size = input_size(vit, image_size)
    channels = vit.heads if what == "maps" else vit.embed_dim
    return AttentionGrid(channels, (size // vit.patch, size // vit.patch), vit.patch, size)


def extract(
    settings: Settings, images: np.ndarray, backbone: DinoViT, device: Device, folder: Path, what: What = "maps"
) -> None:
    """Write this process's share of the maps or features of all images; the first one also writes `attention.json`.

    Shares end where batches end, so that the maps are bit-identical for any number of processes.
    """
    grid = grid_of(backbone, settings.vit.image_size, what)
    maps_of = slices_extractor(settings, backbone, device, what)
    starts = range(0, len(images), device.vit_batch)
    starts = starts[collectives.share(len(starts))]
    with growing_array(folder / _share_file(collectives.rank()), (grid.heads, *grid.grid), np.float16) as append:
        for start in starts:
            append(maps_of(images[start : start + device.vit_batch], start))
    if collectives.rank() == 0:  # the same for all, and two processes must not write one file
        write_grid(folder, grid)


def slices_extractor(
    settings: Settings, backbone: DinoViT, device: Device, what: What = "maps"
) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return the function from prepared slices [B, S, S], and the row of the first, to their maps [B, h, gh, gw].

    Features are [B, D, gh, gw]. A copy of the ViT goes to the device, which is to hold `device.vit_batch` slices.
    """
    size = grid_of(backbone, settings.vit.image_size, what).vit_size_px
    vit = copy.deepcopy(backbone).to(device.torch_device).eval()
    set_fused_attention(vit, device.fused_attention)
    fix_input_size(vit, size)
    maps_of = extractor(vit, size, settings.attention.compile, device, what)

    def finite_maps(images: np.ndarray, start: int = 0) -> np.ndarray:
        batch = torch.from_numpy(np.array(images))
        with enough_memory(f"{what} of {len(batch)} slices", "lower vit.image_size, or choose another device"):
            maps = maps_of(device.send(batch)).cpu()
        if not torch.isfinite(maps).all():
            raise NonFiniteError(
                f"slices from row {start}: non-finite {what} (NaN or infinity); check the weights and the images"
            )
        return maps.numpy()

    return finite_maps


def _share_file(rank: int) -> str:
    return f"attention-{rank}.npy"


def _join(folder: Path, processes: int) -> None:
    """Concatenate the shares of all processes, in the order of their ranks; the share of a single one is the whole."""
    (folder / UNFINISHED / "attention.json").rename(folder / "attention.json")
    if processes == 1:
        (folder / UNFINISHED / _share_file(0)).rename(folder / "attention.npy")
        return
    shares = [np.load(folder / UNFINISHED / _share_file(rank), mmap_mode="r") for rank in range(processes)]
    with growing_array(folder / "attention.npy", shares[0].shape[1:], np.float16) as append:
        for share in shares:
            for start in range(0, len(share), _COPIED_TOGETHER):
                append(share[start : start + _COPIED_TOGETHER])


def extractor(
    vit: DinoViT, size: int, compiled: bool, device: Device, what: What = "maps"
) -> Callable[[Tensor], Tensor]:
    """Return the function from a batch of slices [B, H, W] on the device to maps [B, h, gh, gw] of a ViT there.

    Features are [B, D, gh, gw].
    """
    tokens_of = token_maps if what == "maps" else token_features
    tokens_of = torch.compile(tokens_of) if compiled else tokens_of

    @torch.inference_mode()
    def maps_of(batch: Tensor) -> Tensor:
        with device.autocast():
            return tokens_of(vit, to_vit_input(batch[:, None], size))

    return recorded(maps_of, list) if device.records_steps else maps_of
