"""The layout of the package: a room imports only rooms of the floors below (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY

# From the bottom; rooms on one floor do not know each other, but for those that follow in the same order.
FLOORS = [
    [
        "errors",
        "places",
        "interrupts",
        "csv_files",
        "settings",
        "protocol",
        "progress",
        "device",
        "cuda_graphs",
        "options",
    ],
    ["cache"],
    ["parallel", "data", "vit"],
    ["attention", "dino"],
    ["segmentation"],
    ["pipeline", "jobs", "reporting"],
    ["compare", "inference"],
    ["lessons", "transfer"],
    ["explorer"],
    ["__main__"],
]
ORDER = [room for floor in FLOORS for room in floor]
PACKAGE = REPOSITORY / "dainet"


def rooms_imported(path: Path) -> Iterator[str]:
    """Return the rooms of the package that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "dainet":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dainet."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("dainet."))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert rooms == set(ORDER)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_lead_down(path: Path) -> None:
    own = room_of(path)
    if own == "__init__":
        return  # the public names, loaded when they are asked for
    allowed = set(ORDER[: ORDER.index(own) + 1])
    # device.py is asked for the hardware when a record is written; it imports nothing of the kit.
    assert set(rooms_imported(path)) <= allowed


def test_no_module_of_the_package_imports_a_folder_next_to_it() -> None:
    neighbors = {"study", "benchmarks", "tests", "book", "teaching", "examples"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not neighbors & {name.split(".")[0] for name in names}, path
