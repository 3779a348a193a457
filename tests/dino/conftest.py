"""A small ViT in a file, and a narrow head for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from dainet.dino import network
from dainet.vit.model import DinoViT, save_vit


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    save_vit(DinoViT(img_size=16, patch_size=8, embed_dim=32, depth=1, num_heads=2), path)
    return str(path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use a narrow head, which otherwise takes nearly all the time, and one thread, because the tensors are tiny."""
    monkeypatch.setattr(network, "_HIDDEN", 32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
