"""What the shapes of a file's tensors say about a ViT, and what they do not: the number of heads is never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from dainet.errors import InputError
from dainet.vit.checkpoints import read_weights, weights_hash
from dainet.vit.model import DinoViT, load_vit, save_vit
from dainet.vit.shapes import architecture_of
from tests.helpers.hub import take_hub_offline

SIXTEEN_OF_80: dict[str, Any] = {
    "img_size": 32,
    "patch_size": 16,
    "embed_dim": 1280,
    "depth": 1,
    "num_heads": 16,
    "mlp_ratio": 0.1,
}


def foreign(folder: Path, name: str = "foreign.safetensors", **architecture: Any) -> tuple[VisionTransformer, str]:
    """A ViT of timm and its file as a hub gives it, without the number of heads."""
    torch.manual_seed(0)
    vit = VisionTransformer(num_classes=0, **architecture).eval()
    path = folder / name
    if path.suffix == ".safetensors":
        save_file(vit.state_dict(), path, {"format": "pt"})
    else:
        torch.save(vit.state_dict(), path)
    return vit, str(path)


@pytest.mark.parametrize("name", ["foreign.safetensors", "foreign.pth"])
def test_heads_that_nobody_said_are_refused(tmp_path: Path, name: str) -> None:
    vit, path = foreign(tmp_path, name, **SIXTEEN_OF_80)
    with pytest.raises(InputError, match=rf"{name}.*1280.*vit\.heads"):
        load_vit(path)
    images = torch.rand(1, 3, 32, 32)
    read = load_vit(path, heads=16)
    assert read.heads == 16
    torch.testing.assert_close(read(images), vit(images), rtol=0, atol=1e-5)
    assert weights_hash(path, 16) != weights_hash(path, 20) != weights_hash(path)


def test_heads_that_do_not_fit_or_contradict_are_refused(tmp_path: Path) -> None:
    _, path = foreign(tmp_path, **SIXTEEN_OF_80)
    with pytest.raises(InputError, match=r"1280.*7 heads.*vit\.heads"):
        load_vit(path, heads=7)
    save_vit(load_vit(path, heads=16), tmp_path / "kit.safetensors")
    assert load_vit(str(tmp_path / "kit.safetensors"), heads=16).heads == 16
    for weights, stored in ((str(tmp_path / "kit.safetensors"), 16), ("random", 6), ("tour", 6)):
        with pytest.raises(InputError, match=rf"{stored} heads.*vit\.heads.*20"):
            load_vit(weights, heads=20)


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("vit_tiny_patch16_224", 3),
        ("vit_small_patch16_224", 6),
        ("vit_small_patch14_reg4_dinov2", 6),
        ("vit_base_patch16_224", 12),
        ("deit3_base_patch16_224", 12),
        ("vit_large_patch16_224", 16),
        pytest.param("vit_huge_patch14_224", 16, marks=pytest.mark.slow),
        pytest.param("vit_giant_patch14_224", 16, marks=pytest.mark.slow),
        pytest.param("vit_gigantic_patch14_224", 16, marks=pytest.mark.slow),
        pytest.param("vit_so400m_patch14_reg1_tipsv2", 16, marks=pytest.mark.slow),
    ],
)
def test_known_vits_have_the_heads_of_timm(name: str, heads: int, caplog: pytest.LogCaptureFixture) -> None:
    with torch.device("meta"):
        peer: Any = timm.create_model(name, num_classes=0)
    with caplog.at_level("INFO"):
        found = architecture_of(peer.state_dict(), None, "a file")
    assert found["num_heads"] == peer.blocks[-1].attn.num_heads == heads
    assert f"{heads} heads" in caplog.text
    assert "vit.heads" in caplog.text


def test_a_vit_as_deep_as_a_known_one_with_another_mlp_is_not_known() -> None:
    with torch.device("meta"):
        state = DinoViT(patch_size=16, embed_dim=384, depth=12, num_heads=6, mlp_ratio=3).state_dict()
    with pytest.raises(InputError, match=r"12 blocks.*384.*1152.*vit\.heads"):
        architecture_of(state, None, "a file")


def test_every_width_of_an_mlp_comes_back() -> None:
    with torch.device("meta"):
        state = dict(DinoViT(patch_size=16, embed_dim=224, depth=1, num_heads=7).state_dict())
        for width in (48, 192, 224, 384, 1000):
            for name in ("cls_token", "pos_embed"):
                state[name] = torch.empty(1, state[name].shape[1], width)
            for hidden in range(1, 2000):
                state["blocks.0.mlp.fc1.weight"] = torch.empty(hidden, width)
                assert int(width * architecture_of(state, 1, "a file")["mlp_ratio"]) == hidden


def test_a_file_of_width_224_with_an_mlp_of_488_is_read(tmp_path: Path) -> None:
    shape: dict[str, Any] = {
        "img_size": 32,
        "patch_size": 16,
        "embed_dim": 224,
        "depth": 2,
        "num_heads": 7,
        "mlp_ratio": 488.5 / 224,
    }
    vit, path = foreign(tmp_path, **shape)
    assert vit.state_dict()["blocks.0.mlp.fc1.weight"].shape == (488, 224)
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(load_vit(path, heads=7)(images), vit(images), rtol=0, atol=1e-5)


def refuse_unless_plain(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a name of timm as without a hub: a plain ViT gets as far as its weights, every other is refused before."""
    with monkeypatch.context() as patch:
        take_hub_offline(patch)
        with torch.device("meta"):
            model: Any = timm.create_model(name)
        block = model.blocks[0] if type(model) is VisionTransformer else None
        plain = type(block) is Block and isinstance(getattr(block.mlp, "act", None), nn.GELU)
        with pytest.raises(ConnectionError if plain else InputError, match=name):
            read_weights(name)


@pytest.mark.parametrize(
    "name",
    [
        "vit_dpwee_patch16_reg1_gap_256",  # blocks without `mlp`: all of timm 1.0's
        "vit_pwee_patch16_reg1_gap_256",
        "vit_small_patch16_18x2_224",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "vit_base_patch16_18x2_224",
                "vit_base_patch16_xp_224",
                "vit_large_patch14_xp_224",
                "vit_huge_patch14_xp_224",
                "vit_giant_patch14_dinov2",  # gated MLP
            )
        ),
        "vit_base_patch16_rpn_224",  # blocks with the names of a plain one that normalize after attention
        "vit_base_patch16_clip_quickgelu_224",
        "swin_tiny_patch4_window7_224",
        "vit_small_patch16_224",
    ],
)
def test_names_of_timm_are_plain_or_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_unless_plain(name, monkeypatch)
