"""Private names of torch and timm that the kit uses, for which pyproject.toml limits their versions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest
from timm.models.vision_transformer import VisionTransformer

from tests.helpers import REPOSITORY

VIT = "timm.models.vision_transformer.VisionTransformer"
PRIVATE = {
    f"{VIT}._pos_embed",
    "torch._foreach_mul_",
    "torch._foreach_norm",
    "torch.cpu._is_amx_tile_supported",
    "torch.cpu._is_avx512_bf16_supported",
    # The stand-in for a GPU in tests/test_gpu_path.py.
    "torch._subclasses.fake_tensor.DataDependentOutputException",
    "torch._subclasses.fake_tensor.DynamicOutputShapeException",
    "torch._subclasses.fake_tensor.FakeTensorMode",
    "torch._subclasses.fake_tensor.unset_fake_temporarily",
}
# Without an underscore, but no documentation promises that they stay.
UNPROMISED = {
    "torch.cuda.amp.common.amp_definitely_not_available",
    "torch.distributed.launcher.api.LaunchConfig",
    "torch.distributed.launcher.api.elastic_launch",
}
FOLDERS = ("dainet", "study", "benchmarks", "book", "data_scripts", "examples", "teaching", "tests")


def is_private(name: str) -> bool:
    parts = name.split(".")
    return parts[0] in ("timm", "torch") and any(part.startswith("_") and not part.endswith("__") for part in parts)


def names(path: Path) -> Iterator[str]:
    """Full names in imports and in `torch.x.y`; attributes of a vision transformer, also where they are overridden."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield f"{VIT}.{node.attr}" if node.attr in vars(VisionTransformer) else ast.unparse(node)
        elif isinstance(node, ast.FunctionDef) and node.name in vars(VisionTransformer):
            yield f"{VIT}.{node.name}"


def test_no_other_private_name_is_used() -> None:
    paths = [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")]
    assert {name for path in paths for name in names(path) if is_private(name)} == PRIVATE


@pytest.mark.parametrize("name", sorted(PRIVATE | UNPROMISED))
def test_the_name_still_exists(name: str) -> None:
    assert callable(resolve_name(name))
