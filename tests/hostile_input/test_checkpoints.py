"""Malicious checkpoints: none of their code runs, and sizes they claim are not allocated."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save_file

from dainet.cache.resume import load_state, save_state
from dainet.vit.checkpoints import load_dino_center, load_dino_head
from dainet.vit.model import DinoViT, load_vit
from tests.helpers.refusals import Bomb

TERABYTE = 10**12


def zip_bomb(bomb: Bomb, path: Path) -> None:
    torch.save({"teacher": {}, "student": {}, "args": bomb}, path)


def old_bomb(bomb: Bomb, path: Path) -> None:
    torch.save({"cls_token": bomb}, path, _use_new_zipfile_serialization=False)


def bare_bomb(bomb: Bomb, path: Path) -> None:
    path.write_bytes(pickle.dumps(bomb))


def bomb_in_namespace(bomb: Bomb, path: Path) -> None:
    """In the one class that is allowed, because DINO's own checkpoints hold it."""
    torch.save({"teacher": {}, "student": {}, "args": argparse.Namespace(arch=bomb)}, path)


@pytest.mark.filterwarnings("ignore")  # torch's, about what is refused
@pytest.mark.parametrize("plant", [zip_bomb, old_bomb, bare_bomb, bomb_in_namespace])
@pytest.mark.parametrize("read", [load_vit, load_dino_center, lambda name: load_dino_head(name, "teacher")])
@pytest.mark.parametrize("ending", ["pth", "pt"])
def test_a_checkpoint_runs_nothing(
    plant: Callable[[Bomb, Path], None], read: Callable[[str], object], ending: str, marker: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"evil.{ending}"
    plant(Bomb(marker), path)
    with pytest.raises(ValueError, match=f"^evil.{ending}: .*refused.*tensors.*fetch it again") as caught:
        read(str(path))
    assert not marker.exists()
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_a_namespace_is_all_that_dinos_checkpoints_may_hold(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(lr=1e-4)}, tmp_path / "plain.pth")
    with pytest.raises(ValueError, match=r"^plain.pth: .*args.*Namespace.*tensors"):
        load_vit(str(tmp_path / "plain.pth"))
    torch.save({"path": tmp_path}, tmp_path / "path.pth")
    with pytest.raises(ValueError, match="refused"):
        load_vit(str(tmp_path / "path.pth"))


def test_the_state_of_a_killed_training_runs_nothing(marker: Path, tmp_path: Path) -> None:
    save_state({"history": []}, tmp_path, epoch=1)
    (path,) = tmp_path.rglob("epoch_*.pt")
    torch.save({"history": Bomb(marker)}, path)
    with suppress(Exception):  # that nothing is run is what counts here
        load_state(tmp_path)
    assert not marker.exists()


def tiny_state() -> dict[str, torch.Tensor]:
    vit = DinoViT(img_size=16, patch_size=8, embed_dim=64, depth=1, num_heads=1, mlp_ratio=0.5)
    return {name: tensor.clone() for name, tensor in vit.state_dict().items()}


CHECKPOINTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a terabyte that is one number": (
        lambda state: state.update(cls_token=torch.zeros(1).expand(1, 1, TERABYTE)),
        "cls_token",
    ),
    "a sparse tensor": (lambda state: state.update(cls_token=torch.zeros(1, 1, 64).to_sparse()), "sparse"),
    "a billion blocks": (
        lambda state: state.update({"blocks.999999999.norm1.weight": torch.ones(64)}),
        "ViT",
    ),
    "a block without number": (lambda state: state.update({"blocks.x": torch.ones(1)}), "ViT"),
    "a number for a tensor": (lambda state: state.update(cls_token=3), "cls_token.*int.*tensors"),
    "a number for a name": (
        lambda state: state.__setitem__(cast("str", 3), torch.ones(1)),
        "3.*Tensor.*tensors",
    ),
    "no axes": (lambda state: state.update(cls_token=torch.tensor(1.0)), r"cls_token.*\(\).*3"),
    "no width": (lambda state: state.update(cls_token=torch.ones(1, 1, 0)), r"cls_token.*\(1, 1, 0\)"),
    "a list for the teacher": (
        lambda state: state.update(student={}, teacher=[1]),
        "list.*tensors",
    ),
}


@pytest.mark.filterwarnings("ignore")  # torch's, about sparse tensors
@pytest.mark.parametrize("evil", CHECKPOINTS)
def test_a_checkpoint_that_claims_what_it_has_not(evil: str, tmp_path: Path) -> None:
    change, words = CHECKPOINTS[evil]
    state: dict[str, Any] = tiny_state()
    change(state)
    torch.save(state, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=f"^evil.pth.*{words}") as caught:
        load_vit(str(tmp_path / "evil.pth"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("heads", ["many", "0", "-1", "99999", "1\n"])
def test_heads_in_the_metadata_of_safetensors(heads: str, tmp_path: Path) -> None:
    save_file(tiny_state(), tmp_path / "evil.safetensors", {"heads": heads})
    with pytest.raises(ValueError, match=r'^evil.safetensors: .*"heads".*metadata'):
        load_vit(str(tmp_path / "evil.safetensors"))
