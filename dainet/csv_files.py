"""The one reader of CSV files: names stay text as they are written, and numbers are asked for by name."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

import pandas as pd

from dainet.errors import InputError

__all__ = ["read_csv"]


def read_csv(path: Path | Traversable, numbers: Collection[str] | Literal["all"] = ()) -> pd.DataFrame:
    """Read a CSV file in UTF-8 whose first line names the columns.

    Every column is text: a patient called 001, NA or 1e5 keeps this name, of which pandas by itself would make 1, a
    missing value or 100000.0. An empty field is an empty text.

    Args:
        path: a file, also of a package.
        numbers: names of the columns that hold numbers, where the file has them; an empty field becomes NaN.

    Raises:
        InputError: the file is not such a table, or a column of numbers holds something else.
        OSError: the file cannot be read.
    """
    with path.open("rb") as handle:
        try:
            table = pd.read_csv(handle, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError) as error:
            said = " ".join(str(error).split())
            raise InputError(
                f"{path.name}: not a CSV file ({said}); expected UTF-8 text whose first line names the columns"
            ) from None
    for column in table.columns if numbers == "all" else table.columns.intersection(list(numbers)):
        try:
            table[column] = pd.to_numeric(table[column].mask(table[column] == ""))
        except ValueError as error:
            raise InputError(f"{path.name}: column {column}: {error}; expected numbers") from None
    return table
