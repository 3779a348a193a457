"""Files that are either complete or absent; a full disk raises an error instead of killing the process."""

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
    """Write a new file next to `path` and rename it, so that no process ever reads half a file."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(new, path)


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors from any device as safetensors; unlike with its own writer, a full disk raises OSError."""
    from safetensors.torch import save  # imports torch, which takes seconds and is not needed to list the cache

    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_complete(path, save(on_cpu, dict(metadata) if metadata else None))


@contextmanager
def growing_array(path: Path, row_shape: tuple[int, ...], dtype: type) -> Iterator[Callable[[np.ndarray], None]]:
    """Open an .npy file for a number of rows that is known only at the end; gives the function that appends rows.

    NumPy leaves room for the number in the header. This is not a memory map, because a full disk would then kill the
    process instead of raising an error.
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
