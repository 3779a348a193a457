"""Position embeddings, random weights, attention kernel and input of the vision transformers."""

from __future__ import annotations

import copy
import math
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from dainet.vit.model import (
    DinoViT,
    fix_input_size,
    input_size,
    load_vit,
    randomized,
    set_fused_attention,
    to_vit_input,
)
from tests.helpers.vits import TINY_VIT, tiny_vit


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
    peer = VisionTransformer(num_classes=0, **(TINY_VIT | changes)).eval()
    peer.load_state_dict(vit.state_dict())
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(vit(images), peer(images), rtol=0, atol=1e-6)
    assert vit(torch.rand(2, 3, 48, 24)).shape == (2, 64)


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
