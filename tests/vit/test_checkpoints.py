"""Weights of vision transformers: files, checkpoints of DINO, names of timm, and what is refused."""

from __future__ import annotations

import argparse
import hashlib
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

from dainet.vit.checkpoints import load_dino_center, load_dino_head, weights_hash
from dainet.vit.model import DinoViT, load_vit, save_vit
from tests.helpers.hub import take_hub_offline
from tests.helpers.vits import TINY_VIT, tiny_vit

WEIGHTS_FOLDER = Path(str(files("dainet.vit") / "weights"))


VARIANTS = [
    {},
    {"patch_size": 16, "img_size": 64, "num_heads": 4},
    {"reg_tokens": 4, "no_embed_class": True, "init_values": 1e-5},
    {"reg_tokens": 2, "mlp_ratio": 3.0, "embed_dim": 96, "num_heads": 6, "qkv_bias": False, "qk_norm": True},
]


@pytest.mark.parametrize("changes", VARIANTS)
def test_safetensors_round_trip(tmp_path: Path, changes: dict[str, Any]) -> None:
    vit = tiny_vit(**changes)
    save_vit(vit, tmp_path / "vit.safetensors", {"note": "kept"})
    loaded = load_vit(str(tmp_path / "vit.safetensors"))
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(loaded(images), vit(images), rtol=0, atol=0)
    assert (loaded.heads, loaded.patch, loaded.training) == (vit.heads, vit.patch, False)
    with safe_open(tmp_path / "vit.safetensors", framework="pt") as file:
        assert file.metadata()["note"] == "kept"


def test_float16_file_loads_as_trainable_float32(tmp_path: Path) -> None:
    save_vit(tiny_vit().half(), tmp_path / "vit.safetensors")
    loaded: Any = load_vit(str(tmp_path / "vit.safetensors"), drop_path=0.1)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert all(p.requires_grad for p in loaded.parameters())
    assert loaded.blocks[-1].drop_path1.drop_prob == pytest.approx(0.1)


def write_full_checkpoint(path: Path, student: DinoViT, teacher: DinoViT) -> None:
    """The layout of facebookresearch/dino main_dino.py:278-287: DDP student, bare teacher."""
    head = {"head.mlp.0.weight": torch.ones(2, 64), "head.last_layer.weight_g": torch.ones(4, 1)}
    content = {
        "student": {f"module.backbone.{k}": v for k, v in student.state_dict().items()}
        | {f"module.{k}": 2 * v for k, v in head.items()},
        "teacher": {f"backbone.{k}": v for k, v in teacher.state_dict().items()} | head,
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 800,
        "args": argparse.Namespace(arch="vit_small", patch_size=8, lr=5e-4),
        "dino_loss": {"center": torch.full((1, 4), 0.5)},
    }
    torch.save(content, path)


def test_full_checkpoint_gives_teacher_heads_and_center(tmp_path: Path) -> None:
    path, student, teacher = tmp_path / "full.pth", tiny_vit(1), tiny_vit(2)
    write_full_checkpoint(path, student, teacher)
    torch.testing.assert_close(load_vit(str(path), heads=1).state_dict(), teacher.state_dict(), rtol=0, atol=0)
    heads = [load_dino_head(str(path), network) for network in ("teacher", "student")]
    assert heads[0] is not None
    assert heads[1] is not None
    assert set(heads[0]) == {"mlp.0.weight", "last_layer.weight_g"} == set(heads[1])
    torch.testing.assert_close(heads[1]["mlp.0.weight"], 2 * heads[0]["mlp.0.weight"])
    torch.testing.assert_close(load_dino_center(str(path)), torch.full((1, 4), 0.5))


@pytest.mark.parametrize("prefix", ["", "backbone.", "module.backbone.", "module."])
def test_backbone_checkpoint(tmp_path: Path, prefix: str) -> None:
    path, vit = tmp_path / "backbone.pth", tiny_vit(3)
    torch.save({f"{prefix}{name}": tensor for name, tensor in vit.state_dict().items()}, path)
    torch.testing.assert_close(load_vit(str(path), heads=1).state_dict(), vit.state_dict(), rtol=0, atol=0)
    assert load_dino_head(str(path), "teacher") is None
    assert load_dino_center(str(path)) is None


@pytest.mark.parametrize("weights", ["hub", "tour", "random", "vit_small_patch8_224.dino"])
def test_no_head_in_other_sources(weights: str) -> None:
    assert load_dino_head(weights, "teacher") is None
    assert load_dino_center(weights) is None


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_classifier_of_a_supervised_vit_is_left_out(tmp_path: Path, suffix: str) -> None:
    path, vit = tmp_path / f"supervised{suffix}", VisionTransformer(**TINY_VIT, num_classes=10)
    state = vit.state_dict()
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    expected = {name: tensor for name, tensor in state.items() if name not in ("head.weight", "head.bias")}
    torch.testing.assert_close(dict(load_vit(str(path), heads=1).state_dict()), expected, rtol=0, atol=0)


class _Code:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("code ran",))


def test_checkpoint_with_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"teacher": {}, "student": {}, "args": _Code()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil.pth: refused.*print"):  # the function that would have run
        load_vit(str(tmp_path / "evil.pth"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("cls_token"), "broken.safetensors: .*cls_token"),
        (lambda s: s.pop("norm.bias"), "broken.safetensors: .*[Mm]issing.*norm.bias"),
        (lambda s: s.update({"neck.weight": torch.ones(2)}), "broken.safetensors: .*[Uu]nexpected.*neck.weight"),
        (lambda s: s.update({"pos_embed": torch.ones(1, 8, 64)}), "broken.safetensors: .*8 position embeddings"),
        (lambda s: s.update({"norm.bias": torch.ones(3)}), "broken.safetensors: .*norm.bias"),
    ],
)
def test_errors_name_file_and_tensor(tmp_path: Path, change: Any, words: str) -> None:
    state = dict(tiny_vit().state_dict())
    change(state)
    save_file(state, tmp_path / "broken.safetensors")
    with pytest.raises(ValueError, match=re.compile(words, re.DOTALL)):
        load_vit(str(tmp_path / "broken.safetensors"), heads=1)


def test_file_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere.pth.*\.safetensors"):
        load_vit("nowhere.pth")
    with pytest.raises(ValueError, match=r"'resnet1000'.*a timm name"):
        load_vit("resnet1000")
    (tmp_path / "text.safetensors").write_text("no tensors here")
    (tmp_path / "text.pth").write_text("no tensors here")
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    for name, words in [("text.safetensors", "readable"), ("text.pth", "refused"), ("list.pth", "list")]:
        with pytest.raises(ValueError, match=f"{name}: .*{words}"):
            load_vit(str(tmp_path / name))


def test_timm_names_without_a_plain_vit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"resnet18.*ResNet"):
        load_vit("resnet18")


def test_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    take_hub_offline(monkeypatch)
    with pytest.raises(ConnectionError, match=r'vit_small_patch16_224.dino.*--weights FILE.*"tour"'):
        load_vit("hub")


def test_hub_weights_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    source = VisionTransformer(num_classes=0, **(TINY_VIT | {"num_heads": 4}))
    monkeypatch.setattr(timm, "create_model", lambda *args, **kwargs: source)
    vit = load_vit("hub")
    assert vit.heads == 4
    torch.testing.assert_close(vit.state_dict(), source.state_dict(), rtol=0, atol=0)


def test_weights_hash(tmp_path: Path) -> None:
    save_vit(tiny_vit(), tmp_path / "vit.safetensors")
    content = (tmp_path / "vit.safetensors").read_bytes()
    assert weights_hash(str(tmp_path / "vit.safetensors")) == hashlib.sha256(content).hexdigest()
    assert weights_hash("hub") == weights_hash("vit_small_patch16_224.dino") == "vit_small_patch16_224.dino"
    assert weights_hash("random") == "random"
    chosen = "vit_small_patch16_224.augreg_in21k_ft_in1k"  # timm's choice, from its own table
    assert weights_hash("vit_small_patch16_224") == weights_hash(chosen) == chosen
    with pytest.raises(ValueError, match=r"nonsense.*vit_small_patch16_224\.dino"):
        weights_hash("vit_small_patch16_224.nonsense")
    with pytest.raises(FileNotFoundError):
        weights_hash("nowhere.safetensors")


def test_shipped_weights() -> None:
    path = WEIGHTS_FOLDER / "tour_vit.safetensors"
    readme = (WEIGHTS_FOLDER / "README.md").read_text(encoding="utf-8")
    assert weights_hash("tour") in readme
    assert path.stat().st_size < 5e6
    vit = load_vit("tour")
    assert (len(vit.blocks), vit.embed_dim, vit.patch, vit.heads) == (4, 192, 8, 6)
    assert vit.patch_embed.grid_size == (12, 12)
    assert torch.isfinite(vit(torch.rand(1, 3, 96, 96))).all()
