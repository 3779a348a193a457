"""A vision transformer that is small enough for a unit test."""

from __future__ import annotations

from typing import Any

from dainet.vit.model import DinoViT, randomized

TINY_VIT: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 2, "num_heads": 1}


def tiny_vit(seed: int = 0, **changes: Any) -> DinoViT:
    return randomized(DinoViT(**(TINY_VIT | changes)), seed)
