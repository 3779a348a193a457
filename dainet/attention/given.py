"""Maps from outside in the place of the ViT's: one file per case, checked, and stored in the same form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten

import numpy as np
import pandas as pd

from dainet.attention.stage import AttentionGrid, write_grid
from dainet.cache.atomic import growing_array
from dainet.cache.records import hash_files
from dainet.cache.store import StageResult, run_stage
from dainet.data.prepared import Prepared
from dainet.errors import InputError, reason
from dainet.places import input_path
from dainet.settings import Settings
from dainet.vit.model import head_count

__all__ = ["given_channels", "map_channels", "maps_folder", "run_given"]

_VERSION = 1
_FORM = "[slices, channels, h, w] of floats, as numpy.save writes it"
_LOST = 0.01  # of the range of a case's values: more than this and 16 bits do not hold them


def maps_folder(name: str) -> Path:
    """Return the folder of the setting `attention.maps`.

    Raises:
        InputError: it is not there.
    """
    folder = input_path(name)
    if not folder.is_dir():
        raise InputError(f"setting attention.maps: {name} is not a folder; expected one with CASE.npy for every case")
    return folder


def given_channels(name: str) -> int:
    """Return the number of maps of a slice, by the first file of the folder (see `maps_folder`).

    Raises:
        InputError: the folder has no such file, or it is not an array of the right form.
    """
    first = next(iter(sorted(maps_folder(name).glob("*.npy"))), None)
    if first is None:
        raise InputError(f"setting attention.maps: {name} has no .npy file; expected CASE.npy for every case")
    return _open(first).shape[1]


def map_channels(settings: Settings) -> int:
    """Return the number of maps of a slice: the channels of given ones, or the heads of the ViT.

    Raises:
        InputError, FileNotFoundError: as `given_channels`, or `dainet.vit.model.head_count`.
    """
    if settings.attention.maps:
        return given_channels(settings.attention.maps)
    return head_count(settings.vit.weights, settings.vit.heads)


def run_given(name: str, prepared: Prepared) -> StageResult:
    """Store the given maps of every slice, or open what an earlier call left.

    The stage leaves what `dainet.attention.stage.run_attention` does: `attention.npy` [N, channels, h, w] float16 with
    the rows of the prepared store, and `attention.json`. The grid h x w need not be square: as the slices were, the
    maps are resized to squares.

    Args:
        name: folder with one `CASE.npy` per case id of the prepared store, each [slices, channels, h, w] of floats.
        prepared: the slices.

    Raises:
        InputError: a case without a file, a file without a case, no array, another number of slices than the case has,
            channels or grids that differ between cases, NaN or infinity, or values that 16 bits do not hold.
    """
    slices = prepared.cases.groupby("case_id", sort=False).size()
    files = _files(maps_folder(name), slices)

    def build(folder: Path) -> None:
        grid = _grid({path: slices[case] for case, path in files.items()})
        with growing_array(folder / "attention.npy", (grid.heads, *grid.grid), np.float16) as append:
            for path in files.values():
                append(_stored(path))
        write_grid(folder, grid)

    inputs = {"prepared": prepared.result.key, "maps": hash_files(files)}
    return run_stage("attention", _VERSION, {"origin": "given"}, inputs, build)


def _files(folder: Path, slices: pd.Series) -> dict[str, Path]:
    """Return case id -> its file, in the order of the prepared store."""
    files = {str(case): folder / f"{case}.npy" for case in slices.index}
    if missing := [path.name for path in files.values() if not path.is_file()]:
        raise InputError(f"{folder}: no maps of {len(missing)} of {len(files)} cases: {_listed(missing)}; add them")
    if extra := sorted(path.name for path in folder.glob("*.npy") if path not in files.values()):
        raise InputError(f"{folder}: {len(extra)} files of no case: {_listed(extra)}; move them away")
    return files


def _listed(names: list[str]) -> str:
    return shorten(", ".join(names), 300, placeholder=" ...")


def _grid(slices: Mapping[Path, int]) -> AttentionGrid:
    """Check the shapes of all files before any is read, and return what they have in common."""
    shapes = {path: _open(path).shape for path in slices}
    first, (_, channels, height, width) = next(iter(shapes.items()))
    for path, shape in shapes.items():
        if shape[0] != slices[path]:
            raise InputError(f"{path}: maps of {shape[0]} slices; expected {slices[path]}, those of the prepared case")
        if shape[1:] != (channels, height, width):
            found, expected = (f"{c} channels of {h} x {w}" for c, h, w in (shape[1:], shapes[first][1:]))
            raise InputError(f"{path}: {found}; expected {expected} as in {first.name}: one form for all cases")
    return AttentionGrid(channels, (height, width), patch=0, vit_size_px=0)


def _open(path: Path) -> np.ndarray:
    try:
        maps = np.lib.format.open_memmap(path, mode="r")  # which takes no pickle
    except Exception as error:  # damaged files make numpy raise nearly anything
        raise InputError(f"{path}: no array of numbers ({reason(error, path)}); expected {_FORM}") from error
    if maps.ndim != 4 or not np.issubdtype(maps.dtype, np.floating):
        raise InputError(f"{path}: {maps.dtype} of the shape {list(maps.shape)}; expected {_FORM}")
    return maps


def _stored(path: Path) -> np.ndarray:
    """Read the maps of a case as float16."""
    maps = _open(path)
    if not (finite := np.isfinite(maps)).all():
        number, channel = np.argwhere(~finite)[0, :2]
        raise InputError(f"{path}: NaN or infinity in slice {number}, channel {channel}; expected finite numbers")
    with np.errstate(over="ignore"):
        wide = maps.astype(np.float32)
        stored = wide.astype(np.float16)
    low, high = float(maps.min()), float(maps.max())
    if not np.isfinite(stored).all() or np.abs(stored - wide).max() > _LOST * (high - low) > 0:
        raise InputError(f"{path}: 16 bits do not hold values from {low:.4g} to {high:.4g}; scale them, as to [0, 1]")
    return stored
