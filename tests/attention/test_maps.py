"""CLS attention against the explicit softmax, and the steps from tokens to network input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.layers import set_fused_attn, use_fused_attn
from torch import Tensor, nn

from dainet.attention.maps import (
    attention_matrix,
    cls_attention,
    network_maps,
    normalize_maps,
    resize_maps,
    token_maps,
)
from dainet.attention.stage import open_attention, run_attention
from dainet.cache.store import StageResult
from dainet.device import Device, choose_device
from dainet.errors import NonFiniteError
from dainet.settings import AttentionSettings, Settings, VitSettings
from dainet.vit.model import DinoViT, randomized, to_vit_input

CPU = choose_device("cpu")
FLOAT32 = Device(torch.device("cpu"), None, torch.contiguous_format, True, True, 16)


def tiny_vit(**changes: Any) -> DinoViT:
    """Build a ViT whose weights and tokens are so large that attention is far from uniform."""
    base = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3}
    vit = randomized(DinoViT(**(base | changes)), seed=0)
    with torch.no_grad():
        for name, parameter in vit.named_parameters():
            if name.endswith("_token"):
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
            elif parameter.ndim > 1:
                parameter.mul_(4)
    return vit


@pytest.fixture
def explicit_softmax() -> Iterator[None]:
    """Compute timm's unfused attention, for networks built inside the test."""
    before = use_fused_attn()
    set_fused_attn(False)
    yield
    set_fused_attn(bool(before))


@pytest.mark.usefixtures("explicit_softmax")
@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, (32, 32)),
        ({"patch_size": 16, "num_heads": 6}, (64, 48)),
        ({"patch_size": 14, "img_size": 56, "num_heads": 1}, (56, 28)),
        ({"reg_tokens": 4, "no_embed_class": True, "init_values": 0.5}, (40, 40)),
        ({"reg_tokens": 2, "qk_norm": True, "qkv_bias": False, "num_heads": 4}, (32, 64)),
        ({"depth": 1}, (32, 32)),
    ],
)
def test_equals_explicit_softmax(changes: dict[str, Any], size: tuple[int, int]) -> None:
    vit: Any = tiny_vit(**changes)
    seen: list[torch.Tensor] = []
    vit.blocks[-1].attn.attn_drop.register_forward_hook(lambda module, args, output: seen.append(output))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        vit(images)
        found = cls_attention(vit, images)
        maps = token_maps(vit, images)
        matrix = attention_matrix(vit, images)
    torch.testing.assert_close(found, seen[0][:, :, 0], rtol=0, atol=1e-6)
    torch.testing.assert_close(matrix, seen[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, vit.heads), rtol=0, atol=1e-5)
    rows, columns = size[0] // vit.patch, size[1] // vit.patch
    patches = found[:, :, vit.num_prefix_tokens :].reshape(2, vit.heads, rows, columns)
    torch.testing.assert_close(maps, patches, rtol=0, atol=0)
    assert found.std() * found.shape[-1] > 0.1  # spread against the mean: not the trivial uniform case


def test_fused_network_gives_the_same_and_softmax_stays_float32_under_autocast() -> None:
    vit, images = tiny_vit(), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        exact = cls_attention(vit, images)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = cls_attention(vit, images)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed.sum(-1), torch.ones(2, 3), rtol=0, atol=1e-5)
    assert (mixed - exact).abs().max() < 0.1


def test_gradients_reach_the_first_layer() -> None:
    vit = tiny_vit()
    token_maps(vit, torch.randn(1, 3, 32, 32)).square().sum().backward()
    assert vit.patch_embed.proj.weight.grad.abs().sum() > 0


def test_refuses_other_attention_and_odd_sizes() -> None:
    vit = tiny_vit()
    with pytest.raises(ValueError, match=r"36 x 32 px.*8 px"):
        cls_attention(vit, torch.zeros(1, 3, 36, 32))
    vit.blocks[-1].attn = nn.Identity()
    with pytest.raises(ValueError, match=r"Identity.*timm"):
        cls_attention(vit, torch.zeros(1, 3, 32, 32))


def test_nearest_repeats_tokens_over_their_patch() -> None:
    maps = torch.rand(2, 3, 4, 4)
    repeated = maps.repeat_interleave(8, -2).repeat_interleave(8, -1)
    torch.testing.assert_close(resize_maps(maps, 32, "nearest-bilinear", 32), repeated, rtol=0, atol=0)
    expected = nn.functional.interpolate(repeated, size=(28, 28), mode="bilinear", align_corners=False)
    torch.testing.assert_close(resize_maps(maps, 28, "nearest-bilinear", 32), expected, rtol=0, atol=0)
    direct = nn.functional.interpolate(maps, size=(28, 28), mode="bilinear", align_corners=False)
    torch.testing.assert_close(resize_maps(maps.half().float(), 28, "bilinear", 32), direct, rtol=0, atol=1e-3)
    assert resize_maps(maps.half(), 28, "bilinear", 32).dtype == torch.float32


def test_minmax_and_tokens() -> None:
    maps = torch.rand(2, 3, 4, 4) / 16
    maps[0, 1] = 0.25  # constant
    scaled = normalize_maps(maps, "minmax", tokens=16)
    assert torch.equal(scaled[0, 1], torch.zeros(4, 4))
    varied = scaled.flatten(0, 1)[[0, 2, 3, 4, 5]].flatten(1)
    assert torch.equal(varied.amin(1), torch.zeros(5))
    assert torch.equal(varied.amax(1), torch.ones(5))
    torch.testing.assert_close(normalize_maps(maps, "tokens", tokens=16), maps * 16)


@pytest.mark.parametrize("resize", ["nearest-bilinear", "bilinear"])
def test_network_maps(resize: Any) -> None:
    maps = torch.rand(2, 3, 4, 4).half()
    stretched = network_maps(maps, 28, AttentionSettings(resize=resize), vit_size_px=32)
    assert stretched.shape == (2, 3, 28, 28)
    assert torch.equal(stretched.amax((-2, -1)), torch.ones(2, 3))  # scaled after resizing
    uniform = torch.full((1, 1, 4, 4), 1 / 16)
    tokens = network_maps(uniform, 28, AttentionSettings(resize=resize, normalization="tokens"), vit_size_px=32)
    torch.testing.assert_close(tokens, torch.ones(1, 1, 28, 28))


@dataclass(frozen=True)
class Prepared:
    images: np.ndarray
    result: StageResult


def prepared(count: int) -> Prepared:
    images = np.random.default_rng(0).random((count, 36, 36)).astype(np.float16)
    return Prepared(images, StageResult("prepared", "some-key", Path()))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path))
    return Settings(vit=VitSettings(image_size=36))


def test_stage_writes_every_row(settings: Settings) -> None:
    source, vit = prepared(35), tiny_vit()  # more than one batch
    result = run_attention(settings, source, vit, "pretrained", {"backbone": "tiny"}, FLOAT32)
    maps, info = open_attention(result)
    assert (info.heads, info.grid, info.patch, info.vit_size_px) == (3, (4, 4), 8, 32)
    assert maps.shape == (35, 3, 4, 4)
    assert maps.dtype == np.float16
    assert isinstance(maps, np.memmap)
    with torch.no_grad():
        expected = token_maps(vit, to_vit_input(torch.from_numpy(source.images)[:, None], 32))
    np.testing.assert_allclose(maps, expected.numpy(), atol=5e-4)


def test_stage_key_depends_on_backbone_and_size(settings: Settings) -> None:
    source, vit = prepared(2), tiny_vit()
    first = run_attention(settings, source, vit, "pretrained", {"backbone": "a"}, CPU)
    assert run_attention(settings, source, vit, "pretrained", {"backbone": "a"}, CPU) == first
    assert run_attention(settings, source, vit, "pretrained", {"backbone": "b"}, CPU).key != first.key
    larger = settings.model_copy(update={"vit": VitSettings(image_size=48)})
    assert run_attention(larger, source, vit, "pretrained", {"backbone": "a"}, CPU).key != first.key
    assert first.record()["inputs"] == {"prepared": "some-key", "backbone": "a"}


def test_stage_refuses_broken_weights(settings: Settings) -> None:
    vit = tiny_vit()
    with torch.no_grad():
        vit.cls_token.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="row 0"):
        run_attention(settings, prepared(2), vit, "pretrained", {"backbone": "nan"}, CPU)


def test_backbone_is_left_as_it_is(settings: Settings) -> None:
    vit = tiny_vit().train()
    before: dict[str, Tensor] = {name: tensor.clone() for name, tensor in vit.state_dict().items()}
    run_attention(settings, prepared(2), vit, "pretrained", {"backbone": "train"}, CPU)
    assert vit.training
    torch.testing.assert_close(dict(vit.state_dict()), before, rtol=0, atol=0)


def test_compiled_extraction_is_asked_for_by_a_setting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's compiler takes a minute, so it is replaced; the function that it gets must make the same maps."""
    handed = []

    def note(function: Callable[..., Any]) -> Callable[..., Any]:
        handed.append(function)
        return function

    monkeypatch.setattr(torch, "compile", note)
    compiled = settings.model_copy(update={"attention": AttentionSettings(compile=True)})
    plain, other = (
        run_attention(s, prepared(2), tiny_vit(), "pretrained", {"backbone": "a"}, CPU) for s in (settings, compiled)
    )
    assert handed == [token_maps]
    assert other.key != plain.key
    np.testing.assert_array_equal(open_attention(plain)[0], open_attention(other)[0])
