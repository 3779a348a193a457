"""Loading, position embeddings and input of the pre-trained ViTs."""

from __future__ import annotations

import argparse
import copy
import hashlib
import math
import re
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from dainet.vit.checkpoints import load_dino_center, load_dino_head, weights_hash
from dainet.vit.model import (
    DinoViT,
    fix_input_size,
    input_size,
    load_vit,
    randomized,
    save_vit,
    set_fused_attention,
    to_vit_input,
)
from tests.helpers.hub import take_hub_offline

TINY: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 2, "num_heads": 1}
WEIGHTS_FOLDER = Path(str(files("dainet.vit") / "weights"))


def tiny_vit(seed: int = 0, **changes: Any) -> DinoViT:
    return randomized(DinoViT(**(TINY | changes)), seed)


def dino_position_embedding(pos_embed: Tensor, height: int, width: int, patch: int) -> Tensor:
    """facebookresearch/dino vision_transformer.py:174-194 @7c446df, whose "w" is the first image axis."""
    tokens = pos_embed.shape[1] - 1
    if (height // patch) * (width // patch) == tokens and height == width:
        return pos_embed
    side, dim = int(math.sqrt(tokens)), pos_embed.shape[-1]
    w0, h0 = height // patch + 0.1, width // patch + 0.1
    grid = nn.functional.interpolate(
        pos_embed[:, 1:].reshape(1, side, side, dim).permute(0, 3, 1, 2),
        scale_factor=(w0 / math.sqrt(tokens), h0 / math.sqrt(tokens)),
        mode="bicubic",
    )
    assert (int(w0), int(h0)) == tuple(grid.shape[-2:])
    return torch.cat((pos_embed[:, :1], grid.permute(0, 2, 3, 1).view(1, -1, dim)), dim=1)


def added_positions(vit: DinoViT, grid: tuple[int, int]) -> Tensor:
    """What the ViT adds to all-zero patch tokens; the CLS and register tokens are included."""
    return vit._pos_embed(torch.zeros(1, *grid, vit.embed_dim))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 48), (16, 16), (40, 40), (24, 56), (56, 24)])
def test_position_embedding_equals_dinos_formula(height: int, width: int) -> None:
    vit = tiny_vit()
    expected = dino_position_embedding(vit.pos_embed, height, width, 8)
    found = added_positions(vit, (height // 8, width // 8))
    torch.testing.assert_close(found[:, 1:], expected[:, 1:], rtol=0, atol=0)
    torch.testing.assert_close(found[:, :1], expected[:, :1] + vit.cls_token, rtol=0, atol=0)


@pytest.mark.parametrize("no_embed_class", [False, True])
def test_position_embedding_leaves_prefix_tokens_alone(no_embed_class: bool) -> None:
    vit = tiny_vit(reg_tokens=4, no_embed_class=no_embed_class)
    native, other = added_positions(vit, (4, 4)), added_positions(vit, (6, 6))
    assert other.shape == (1, 5 + 36, 64)
    torch.testing.assert_close(native[:, :5], other[:, :5], rtol=0, atol=0)
    torch.testing.assert_close(native[:, 5:], vit.pos_embed[:, -16:], rtol=0, atol=0)


@pytest.mark.parametrize("changes", [{}, {"reg_tokens": 4, "no_embed_class": True}, {"reg_tokens": 2}])
@pytest.mark.parametrize("size", [16, 32, 56])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_positions_resampled_once_change_no_bit(changes: dict[str, Any], size: int, precision: str) -> None:
    vit, images = tiny_vit(**changes), torch.rand(2, 3, size, size)
    fixed = copy.deepcopy(vit)
    fix_input_size(fixed, size)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        assert torch.equal(fixed(images), vit(images))
    assert fixed.pos_embed.shape[1] == vit.pos_embed.shape[1] + (size // 8) ** 2 - 16
    assert not fixed.pos_embed.requires_grad


@pytest.mark.parametrize("changes", [{}, {"reg_tokens": 4, "no_embed_class": True}, {"reg_tokens": 2}])
def test_native_size_equals_timm(changes: dict[str, Any]) -> None:
    vit = tiny_vit(**changes)
    peer = VisionTransformer(num_classes=0, **(TINY | changes)).eval()
    peer.load_state_dict(vit.state_dict())
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(vit(images), peer(images), rtol=0, atol=1e-6)
    assert vit(torch.rand(2, 3, 48, 24)).shape == (2, 64)


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
        (lambda s: s.update({"head.weight": torch.ones(2)}), "broken.safetensors: .*[Uu]nexpected.*head.weight"),
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
    source = VisionTransformer(num_classes=0, **(TINY | {"num_heads": 4}))
    monkeypatch.setattr(timm, "create_model", lambda *args, **kwargs: source)
    vit = load_vit("hub")
    assert vit.heads == 4
    torch.testing.assert_close(vit.state_dict(), source.state_dict(), rtol=0, atol=0)


def test_random_weights_are_seeded_and_leave_the_generator_alone() -> None:
    vit = tiny_vit()
    state = torch.get_rng_state()
    first, second, other = randomized(vit, 7), randomized(vit, 7), randomized(vit, 8)
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    assert not torch.equal(first.pos_embed, other.pos_embed)
    random = load_vit("random")
    assert (random.embed_dim, random.patch, random.heads, len(random.blocks)) == (384, 16, 6, 12)
    assert random.patch_embed.grid_size == (14, 14)
    assert {layer.eps for layer in random.modules() if isinstance(layer, nn.LayerNorm)} == {1e-6}
    assert not random.training
    assert {type(block.drop_path1) for block in random.blocks} == {nn.Identity}  # no stochastic depth unless asked for
    student: Any = load_vit("random", drop_path=0.1)
    assert student.blocks[-1].drop_path1.drop_prob == pytest.approx(0.1)
    assert torch.equal(student.pos_embed, random.pos_embed)
    assert torch.equal(torch.get_rng_state(), state)


def test_random_is_the_vit_s16_that_timm_draws_from_seed_0() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        peer = VisionTransformer(num_classes=0, embed_dim=384, depth=12, num_heads=6)
    torch.testing.assert_close(dict(load_vit("random").state_dict()), dict(peer.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize("fused", [False, True])
def test_the_fused_kernel_runs_where_it_is_asked_for(fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Mock(wraps=nn.functional.scaled_dot_product_attention)
    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", kernel)
    vit = tiny_vit(depth=3)
    set_fused_attention(vit, fused)
    vit(torch.rand(1, 3, 32, 32))
    assert kernel.call_count == (3 if fused else 0)


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


def test_input_size() -> None:
    vit = tiny_vit(patch_size=14, img_size=56)
    assert [input_size(vit, px) for px in (14, 27, 224, 256)] == [14, 14, 224, 252]
    with pytest.raises(ValueError, match=r"13 px.*14 px"):
        input_size(vit, 13)


def test_to_vit_input() -> None:
    images = torch.rand(2, 1, 24, 24, dtype=torch.float64).half()
    same = to_vit_input(images, 24)
    assert same.shape == (2, 3, 24, 24)
    assert same.dtype == torch.float32
    imagenet = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, None, :, None, None]
    torch.testing.assert_close(same, (images.float() - imagenet[0]) / imagenet[1], rtol=0, atol=1e-6)
    smaller = nn.functional.interpolate(images.float(), size=(16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(to_vit_input(images, 16), (smaller - imagenet[0]) / imagenet[1], rtol=0, atol=1e-6)
    assert to_vit_input(images[..., :20], 24).shape == (2, 3, 24, 24)
