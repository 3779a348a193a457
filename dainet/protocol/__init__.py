"""Facts, no logic: splits, class names, colours and the published tables, each read from a file beside this one."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pandas as pd

__all__ = ["CLASSES", "COLOURS", "load_split", "published_table", "split_names"]

# Names of the labels 1, 2, 3 ..., in the order of the paper's tables (PROTOCOL 2.3).
CLASSES = {"acdc": ("RV", "Myo", "LV")}
# The paper names colours for Synapse only (Fig. 3: red, green, blue ...); ACDC's classes take the first three.
COLOURS = {"acdc": ("#e41a1c", "#4daf4a", "#377eb8")}


def split_names() -> tuple[str, ...]:
    """Names of the ACDC splits that circulate; "mtunet" is the paper's 70/10/20 (paper section 4.1)."""
    return tuple(_read_csv("acdc_splits.csv").columns[1:])


def load_split(name: str) -> dict[str, str]:
    """Read a split by name, or from a CSV file with the columns `patient` and `split`.

    Returns:
        Patient id -> "train", "valid" or "test".

    Raises:
        ValueError: the name is unknown, or the file lacks a column, repeats a patient or has another split word.
    """
    if name in split_names():
        table = _read_csv("acdc_splits.csv")
        return dict(zip(table["patient"], table[name], strict=True))
    if not Path(name).is_file():
        raise ValueError(
            f"split {name!r} is neither one of {', '.join(split_names())} nor a CSV file; "
            "give a known name or a file with the columns patient,split"
        )
    return _load_split_file(Path(name))


def published_table(name: str) -> pd.DataFrame:
    """A published table, `acdc_table2` or `acdc_table3`: DSC in percent per class, every row as printed.

    The column `model` names the network of this kit that reproduces the row; it is empty for peers' rows.
    """
    return _read_csv(f"{name}.csv")


def _load_split_file(path: Path) -> dict[str, str]:
    table = pd.read_csv(path, dtype=str)
    if not {"patient", "split"} <= set(table.columns):
        raise ValueError(f"{path.name}: found the columns {list(table.columns)}, expected patient and split")
    unknown = set(table["split"]) - {"train", "valid", "test"}
    if unknown:
        raise ValueError(f"{path.name}: found the split words {sorted(map(str, unknown))}, expected train, valid, test")
    repeated = sorted(table.loc[table["patient"].duplicated(), "patient"])
    if repeated:
        raise ValueError(f"{path.name}: {', '.join(repeated)} listed more than once; give each patient one split")
    return dict(zip(table["patient"], table["split"], strict=True))


def _read_csv(name: str) -> pd.DataFrame:
    with files(__name__).joinpath(name).open(encoding="utf-8") as handle:
        return pd.read_csv(handle, keep_default_na=False)
