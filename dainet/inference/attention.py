"""Attention maps of pictures and scans as files: a panel to look at, numbers, and maps that lie on the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dainet.attention.any_vit import Token, attention_maps, patch_at
from dainet.cache.atomic import growing_array
from dainet.data.formats.orientation import display_turn, slice_axis
from dainet.data.preprocessing import normalize
from dainet.data.scans import Scan, is_picture, nifti_on, read_picture, read_scan
from dainet.errors import InputError
from dainet.inference.as_trained import looks_like_ct, turned, turned_back
from dainet.inference.attention_panel import attention_panel
from dainet.inference.each_scan import each_scan, new_files
from dainet.progress import progress
from dainet.vit.any_timm import AnyViT

__all__ = ["Request", "Slices", "attention_files", "open_slices", "write_attention"]

_SHOWN = 3  # slices of a scan in its panel


@dataclass(frozen=True)
class Request:
    """What is asked of a ViT, with the arguments of `dainet.attention.any_vit.attention_maps`."""

    block: int = -1
    token: Token = "cls"
    rollout: bool = False
    size: int | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Slices:
    """What the ViT sees, in [0, 1]: the slices [D, H, W] of a scan as they are shown, or [1, H, W] or [1, H, W, 3].

    `turn` leads from the axes of the scan's file to those of the slices (`dainet.data.formats.orientation`).
    """

    images: np.ndarray
    scan: Scan | None = None  # None of a picture
    turn: np.ndarray | None = None


def open_slices(path: Path, axis: str = "auto") -> Slices:
    """Read a picture or a scan.

    Gray values of CT are clipped to the kit's window for the abdomen (-125 to 275 HU), others are scaled from lowest to
    highest; pictures of 8 bits keep theirs.

    Args:
        path: as for `dainet.data.scans.read_scan`; a picture may be in color.
        axis: along which slices were cut, as in the setting `data.slice_axis`.

    Raises:
        DataError: it cannot be read, or it is unclear along which axis slices were cut.
    """
    if is_picture(path) and path.is_file():
        pixels = read_picture(path)
        scaled = pixels / np.float32(255) if pixels.dtype == np.uint8 else normalize(pixels, "minmax")
        return Slices(scaled[None])
    scan = read_scan(path)
    assert scan.affine is not None
    assert scan.edges_mm is not None
    along = slice_axis(scan.voxels.shape, scan.edges_mm, scan.affine, axis, scan.name)
    turn = display_turn(scan.affine, along)
    volume = normalize(scan.voxels, "window" if looks_like_ct(scan) else "minmax")
    return Slices(turned(volume, turn), scan, turn)


def attention_files(
    paths: Sequence[Path], vit: AnyViT, request: Request, folder: Path, axis: str = "auto", only: int | None = None
) -> list[str]:
    """Write the maps of one picture or scan after the other (see `write_attention`).

    Args:
        paths: see `open_slices`.
        vit: the transformer.
        request: which maps.
        folder: for the files; created if it is not there.
        axis: see `open_slices`.
        only: number of the only slice wanted of a scan, from 0.

    Returns:
        One line for each that failed.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def work(path: Path, name: str) -> str:
        return ", ".join(
            file.name for file in write_attention(open_slices(path, axis), name, vit, request, folder, only)
        )

    return each_scan(paths, "attention", work)


def write_attention(
    slices: Slices, name: str, vit: AnyViT, request: Request, folder: Path, only: int | None = None
) -> list[Path]:
    """Compute the maps of every slice and write them; nothing is written if one fails.

    Args:
        slices: one input.
        name: begins the names of its files.
        vit: the transformer.
        request: which maps.
        folder: gets NAME_attention.png (the panel), .npy ([heads, H, W] of a picture or of one slice, [D, heads, H, W]
            of a scan, float32) and, of a scan, .nii.gz ([X, Y, Z, heads] on the grid of the scan).
        only: number of the only slice wanted of a scan, from 0; the others are 0 in the NIfTI file.

    Returns:
        The files.

    Raises:
        InputError: there is no such slice, or a file of this name is there already; and as `attention_maps`.
    """
    numbers = _numbers(slices, name, only)
    endings = ("png", "npy") if slices.scan is None else ("png", "npy", "nii.gz")
    files = [folder / f"{name}_attention.{ending}" for ending in endings]
    with new_files(files) as new:
        maps = _compute(slices, vit, request, numbers, new[1])
        _panel(slices, name, maps, numbers, vit, request).savefig(new[0])
        if slices.scan is not None:
            _nifti(slices, maps, numbers, vit, request).to_filename(new[2])
    return files


def _numbers(slices: Slices, name: str, only: int | None) -> range:
    count = len(slices.images)
    if only is None or slices.scan is None:
        return range(count)
    if not 0 <= only < count:
        raise InputError(f"{name} has no slice {only}; expected 0 to {count - 1}")
    return range(only, only + 1)


def _compute(slices: Slices, vit: AnyViT, request: Request, numbers: range, path: Path) -> np.ndarray:
    """Write the maps as they are computed, and open them [slices, heads, H, W] without reading them."""
    images = [slices.images[number] for number in numbers]
    single = len(images) == 1
    first = attention_maps(np.ascontiguousarray(images[0]), vit, **vars(request))
    with growing_array(path, first.shape[1:] if single else first.shape, np.float32) as append:
        append(first if single else first[None])
        for image in progress(images[1:], "slices", before=1):
            append(attention_maps(np.ascontiguousarray(image), vit, **vars(request))[None])
    maps = np.load(path, mmap_mode="r")
    return maps[None] if single else maps


def _panel(slices: Slices, name: str, maps: np.ndarray, numbers: range, vit: AnyViT, request: Request) -> Figure:
    count = len(numbers)
    shown = range(count) if count <= _SHOWN else [count * part // (_SHOWN + 1) for part in range(1, _SHOWN + 1)]
    names = ["" if slices.scan is None else f"slice {numbers[at]}" for at in shown]
    images = [slices.images[numbers[at]] for at in shown]
    title = f"{name}: {_described(vit, request)}"
    return attention_panel(images, maps[list(shown)], names, title, _frame(slices, vit, request))


def _described(vit: AnyViT, request: Request) -> str:
    count = len(vit.module.blocks)
    number = request.block % count
    token = "CLS" if request.token == "cls" else f"the patch at pixel {request.token}"
    where = f"from block 0 to {number}" if request.rollout else f"in block {number}"
    return f"{'rollout' if request.rollout else 'attention'} of {token} {where} (last: {count - 1}), {vit.name}"


def _frame(slices: Slices, vit: AnyViT, request: Request) -> tuple[float, float, float, float] | None:
    """Return left and top edge, width and height in px of the patch that asks."""
    if request.token == "cls":
        return None
    height, width = slices.images.shape[1:3]
    seen = vit.input_shape(height, width, request.size)
    row, column = patch_at(vit, request.token, (height, width), seen)
    rows, columns = vit.patch[0] * height / seen[0], vit.patch[1] * width / seen[1]  # px of the picture in a patch
    return column * columns, row * rows, columns, rows


def _nifti(slices: Slices, maps: np.ndarray, numbers: range, vit: AnyViT, request: Request) -> Any:
    """Return the maps as a NIfTI image [X, Y, Z, heads] on the grid of the scan."""
    assert slices.scan is not None
    assert slices.turn is not None
    values = maps
    if len(numbers) < len(slices.images):
        values = np.zeros((len(slices.images), *maps.shape[1:]), np.float32)
        values[numbers.start : numbers.stop] = maps
    image = nifti_on(slices.scan, turned_back(values.swapaxes(0, 1), slices.turn))
    image.header["descrip"] = _described(vit, request).encode("ascii", "replace")[:79]
    return image
