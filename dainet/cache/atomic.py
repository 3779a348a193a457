"""Files that are complete or not there; a full disk is an error and never the end of the process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["growing_array", "write_complete", "write_tensors"]


def write_complete(path: Path, content: bytes | memoryview | str) -> None:
    """Write beside and rename, so that nobody ever sees half a file."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(beside, path)


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors from any device as safetensors; other than its own writer, a full disk raises OSError."""
    from safetensors.torch import save  # torch takes seconds to load, and whoever only lists the cache needs none

    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_complete(path, save(on_cpu, dict(metadata) if metadata else None))


@contextmanager
def growing_array(path: Path, row_shape: tuple[int, ...], dtype: type) -> Iterator[Callable[[np.ndarray], None]]:
    """An .npy file whose number of rows is known at the end: NumPy leaves room for it in the header.

    Not a memory map, because a full disk then kills the process instead of raising an error.
    """
    rows = 0
    with path.open("wb") as handle:

        def write_header() -> None:
            header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (rows, *row_shape)}
            np.lib.format.write_array_header_1_0(handle, header)

        def append(array: np.ndarray) -> None:
            nonlocal rows
            handle.write(np.ascontiguousarray(array, dtype).tobytes())
            rows += len(array)

        write_header()
        yield append
        handle.seek(0)
        write_header()
