"""What happens to files on disks: parts are lost, bits flip, links take the place of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

SEEN_ON_OPENING = ("cut in half", "emptied", "deleted", "linked to nothing")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path, position: int | None = None) -> None:
    """Flip the bit at this position, counted from the start of the file; without one, a bit in its middle."""
    content = bytearray(path.read_bytes())
    position = 4 * len(content) if position is None else position
    content[position // 8] ^= 1 << position % 8
    path.write_bytes(content)


def link(path: Path) -> None:
    """Move the file out of its stage and leave a link to it."""
    path.symlink_to(path.rename(path.parents[2] / f"{path.parent.name}-{path.name}"))


def link_to_nothing(path: Path) -> None:
    link(path)
    path.resolve().unlink()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut in half": cut,
    "emptied": empty,
    "flipped": flip,
    "deleted": Path.unlink,
    "linked": link,
    "linked to nothing": link_to_nothing,
}
