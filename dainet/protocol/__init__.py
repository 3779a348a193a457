"""Facts without logic: class names, colors, and the splits and published tables in the files of this folder."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from textwrap import shorten

import pandas as pd

from dainet.csv_files import read_csv
from dainet.errors import InputError, unknown
from dainet.places import input_path

__all__ = [
    "CLASSES",
    "DEFAULT_SPLIT",
    "NETWORKS",
    "UNBUILT",
    "Classes",
    "load_split",
    "published_table",
    "reference_table",
    "split_names",
]


@dataclass(frozen=True)
class Classes:
    """Names and colors of the labels 1, 2, 3 ..."""

    names: tuple[str, ...]
    colors: tuple[str, ...]


# In the order of the paper's tables (docs/protocol.md#1.3, #2.3). The colors of Synapse are those of Figure 3
# (docs/protocol.md#5.31); the paper names none for ACDC, whose classes take the first three.
CLASSES = {
    "acdc": Classes(("RV", "Myo", "LV"), ("#e41a1c", "#4daf4a", "#377eb8")),
    "synapse": Classes(
        ("Aorta", "Gallbladder", "Kidney (L)", "Kidney (R)", "Liver", "Pancreas", "Spleen", "Stomach"),
        ("#ff0000", "#00c800", "#2060ff", "#ffe000", "#a020f0", "#00e0e0", "#ff9000", "#a0a0a0"),
    ),
}

# ACDC: the paper's 70/10/20 (section 4.1). Synapse: the paper's 18/12 with three of the 18 kept for validation, every
# sixth of the sorted ids from the third on, because no validation list was published (docs/protocol.md#1.1, #5.5).
DEFAULT_SPLIT = {"acdc": "mtunet", "synapse": "carved"}

# The networks of the comparison (Tables 1 and 2, notebook 04) and of the ablation (Table 3, notebook 05), in the order
# of their rows, and those with which the paper compares, in the forms that the tour trains (notebook 08): `-small` are
# reduced forms of networks that are too large for it.
NETWORKS = {
    "comparison": ("unet", "single", "dual-1111"),
    "ablation": ("unet", "single", "dual-0000", "dual-0001", "dual-0111", "dual-1111"),
    "competitors": (
        *("unet-upsample", "attn-unet", "r50-unet-small", "r50-attn-unet-small"),
        *("vit-small", "vit-cup-small", "r50-vit-cup-small", "transunet-small", "transcascade-small"),
        *("transcascade-published-small", "swin-unet-small", "mt-unet-small"),
        *("vnet-2d", "nnunet-2d-small", "mednext-s-small", "dual-features"),
    ),
}


# Rows of Table 1 that no network of this kit reproduces, and why.
UNBUILT = {
    "synapse": "V-Net, DARR and TransClaw U-Net stay published numbers: that V-Net is 3-D (vnet-2d is another "
    "network), and no code of the other two was found.",
}


def split_names(dataset: str) -> tuple[str, ...]:
    """Return the names of the splits of a data set that circulate."""
    return tuple(read_csv(_own_file(f"{dataset}_splits.csv")).columns[1:])


def load_split(dataset: str, name: str) -> dict[str, str]:
    """Read a split of "acdc" or "synapse" by name, or of any data set from a CSV file (columns patient, split).

    Returns:
        Patient id -> "train", "valid" or "test".

    Raises:
        InputError: the name is unknown, or the file lacks a column, repeats a patient or has another split word.
    """
    known = split_names(dataset) if dataset in DEFAULT_SPLIT else ()
    if name in known:
        table = read_csv(_own_file(f"{dataset}_splits.csv"))
        return dict(zip(table["patient"], table[name], strict=True))
    path = input_path(name)
    if not path.is_file():
        raise unknown("split", name, (*known, "a CSV file with the columns patient,split"))
    return _load_split_file(path)


def published_table(dataset: str, name: str) -> pd.DataFrame:
    """Read the paper's "table1" (Synapse), "table2" or "table3" (ACDC) as printed; else return a table without rows.

    Columns: method, model, marker, the classes in lower case and `dsc`, in percent; Table 1 also has `hd95` in voxels,
    whatever the paper calls it (docs/protocol.md#1.5), empty where not printed. `model` names the network of this kit
    that reproduces the row and is empty for those that `UNBUILT` explains.
    """
    path = _own_file(f"{dataset}_{name}.csv")
    if not path.is_file():
        return pd.DataFrame(columns=["method", "model", "marker", "dsc"])
    return read_csv(path, numbers={"dsc", "hd95", *(class_name.lower() for class_name in CLASSES[dataset].names)})


def reference_table(dataset: str) -> pd.DataFrame:
    """Read published numbers of later or more rigorous work on "synapse" or "acdc"; else return a table without rows.

    They come from other splits and protocols, so they are blocks of their own, never in one ranking with the paper's
    tables. The same network differs between blocks by 0.2 points, as much as the paper's whole effect.

    Returns:
        Columns method, data, dsc (percent), hd95 (voxels, empty where not printed), block (the protocol), source, and
        read ("read in source file" or "read on a web page").
    """
    table = read_csv(_own_file("references.csv"), numbers={"dsc", "hd95"})
    return table[table["dataset"] == dataset].drop(columns="dataset").reset_index(drop=True)


def _load_split_file(path: Path) -> dict[str, str]:
    table = read_csv(path)
    if not {"patient", "split"} <= set(table.columns):
        found = reprlib.repr(list(table.columns))
        raise InputError(f"{path.name}: found the columns {found}; expected patient and split")
    other = sorted(set(table["split"]) - {"train", "valid", "test"})
    if other or "" in set(table["patient"]):
        found = f"found the split words {reprlib.repr(other)}" if other else "found a line without a patient"
        raise InputError(f"{path.name}: {found}; expected a patient and one of train, valid, test in every line")
    repeated = sorted(table.loc[table["patient"].duplicated(), "patient"])
    if repeated:
        found = shorten(", ".join(repeated), 200)
        raise InputError(f"{path.name}: {found} listed more than once; give each patient one split")
    return dict(zip(table["patient"], table["split"], strict=True))


def _own_file(name: str) -> Traversable:
    return files(__name__).joinpath(name)
