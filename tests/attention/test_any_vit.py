"""Attention of every family of ViTs in timm, with small random weights, against the explicit softmax."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

import dainet
from dainet.attention.any_vit import Token, attention_maps, attention_rollout, block_attention
from dainet.attention.maps import attention_matrix, cls_attention, resize_maps
from dainet.errors import InputError, NonFiniteError
from dainet.vit.any_timm import AnyViT, load_any_vit
from dainet.vit.model import to_vit_input
from tests.helpers.hub import take_hub_offline

TINY: dict[str, Any] = {"embed_dim": 48, "depth": 3, "num_heads": 3}
# Name, tokens before the patches, whether there is a CLS token, side of a patch, mean of the first channel.
FAMILIES = [
    ("vit_small_patch16_224.dino", 1, True, 16, 0.485),
    ("vit_small_patch14_dinov2.lvd142m", 1, True, 14, 0.485),
    ("vit_small_patch14_reg4_dinov2.lvd142m", 5, True, 14, 0.485),
    ("vit_small_patch16_dinov3.lvd1689m", 5, True, 16, 0.485),
    ("deit3_small_patch16_224.fb_in1k", 1, True, 16, 0.485),
    ("deit_tiny_distilled_patch16_224.fb_in1k", 2, True, 16, 0.485),
    ("vit_base_patch16_224.mae", 1, True, 16, 0.485),
    ("vit_base_patch16_clip_224.openai", 1, True, 16, 0.48145466),
    ("vit_tiny_patch16_224.augreg_in21k", 1, True, 16, 0.5),
    ("vit_so400m_patch14_siglip_224.webli", 0, False, 14, 0.5),
    ("vit_medium_patch16_reg4_gap_256.sbb_in12k_ft_in1k", 4, False, 16, 0.5),
    ("eva02_tiny_patch14_224.mim_in22k", 1, True, 14, 0.48145466),
    ("vit_pe_core_tiny_patch16_384.fb", 1, True, 16, 0.5),
    ("beit_base_patch16_224.in22k_ft_in22k", 1, True, 16, 0.5),
]
NAMES = [family[0] for family in FAMILIES]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AnyViT]:
    """Load a small model of a family; its weights are so large that attention is far from uniform."""
    create = timm.create_model

    def small(name: str, pretrained: bool = False, **arguments: Any) -> Any:
        return create(name, img_size=64, **(TINY | arguments))

    monkeypatch.setattr(timm, "create_model", small)

    def load(name: str) -> AnyViT:
        vit = load_any_vit("random", name)
        with torch.no_grad():
            for parameter in vit.module.parameters():
                if not parameter.any():  # biases, of positions too
                    parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
                elif parameter.ndim > 1:
                    parameter.mul_(4)
        return AnyViT(**(vars(vit) | {"size_px": 64}))

    return load


def explicit_softmax(layer: Any, tokens: Tensor, rope: Tensor | None) -> Tensor:
    """Write out softmax(q k^T / sqrt(d)) in float64, from the weights of a layer and its input [1, tokens, D]."""
    weight, heads = layer.qkv.weight.double(), layer.num_heads
    bias = layer.qkv.bias
    if bias is None and getattr(layer, "q_bias", None) is not None:  # no bias of keys
        bias = torch.cat([layer.q_bias, torch.zeros_like(layer.q_bias), layer.v_bias])
    projected = tokens.double() @ weight.T + (0 if bias is None else bias.double())
    query, key, _ = projected[0].unflatten(1, (3, heads, -1)).permute(1, 2, 0, 3)  # [h, tokens, d] each
    if hasattr(layer, "q_norm"):
        query, key = layer.q_norm.double()(query), layer.k_norm.double()(key)
    if rope is not None:
        patches = query.shape[1] - layer.num_prefix_tokens
        query, key = (turned(part, rope.double(), patches, layer.rotate_half) for part in (query, key))
    logits = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    if getattr(layer, "relative_position_bias_table", None) is not None:
        bias_of_pairs = layer.relative_position_bias_table[layer.relative_position_index.flatten()]
        logits = logits + bias_of_pairs.view(*logits.shape[1:], heads).permute(2, 0, 1).double()
    powers = torch.exp(logits - logits.amax(-1, keepdim=True))
    return powers / powers.sum(-1, keepdim=True)


def turned(part: Tensor, rope: Tensor, patches: int, half: bool) -> Tensor:
    """Turn pairs of the channels of patches by their angles (RoPE), as multiplication of complex numbers."""
    sine, cosine = rope.chunk(2, -1)  # [patches, d]
    prefix, rest = part[:, :-patches], part[:, -patches:]
    first, second = rest.chunk(2, -1) if half else (rest[..., 0::2], rest[..., 1::2])
    pick = (lambda t: t[..., : t.shape[-1] // 2]) if half else (lambda t: t[..., 0::2])
    product = torch.complex(first, second) * torch.complex(pick(cosine), pick(sine))
    parts = [product.real, product.imag]
    return torch.cat([prefix, torch.cat(parts, -1) if half else torch.stack(parts, -1).flatten(-2)], 1)


def inputs_of_layers(vit: AnyViT, images: Tensor) -> list[tuple[Any, Tensor, Tensor | None]]:
    """Run the network as it is, with torch's fused kernel, and return layer, tokens and rotary positions per block."""
    seen: list[tuple[Any, Tensor, Tensor | None]] = []

    def note(layer: Any, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> None:
        seen.append((layer, args[0], kwargs.get("rope")))

    hooks = [block.attn.register_forward_pre_hook(note, with_kwargs=True) for block in vit.module.blocks]
    with torch.inference_mode():
        vit.module.forward_features(images)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(("name", "prefix", "has_cls", "patch", "mean"), FAMILIES, ids=NAMES)
def test_every_family_equals_the_explicit_softmax(
    name: str, prefix: int, has_cls: bool, patch: int, mean: float, tiny: Callable[..., AnyViT]
) -> None:
    vit = tiny(name)
    assert (vit.prefix, vit.has_cls, vit.patch, vit.mean[0]) == (prefix, has_cls, (patch, patch), mean)
    image = torch.rand(1, 3, 61, 83, generator=torch.Generator().manual_seed(0))
    shape = vit.input_shape(61, 83)
    assert shape == (64 // patch * patch, (64 * 83 // 61 if vit.any_size else 64) // patch * patch)
    seen = vit.to_input(image, shape)
    layers = inputs_of_layers(vit, seen)
    tokens = prefix + (shape[0] // patch) * (shape[1] // patch)
    matrices = [explicit_softmax(*layer) for layer in layers]
    with torch.inference_mode():
        for block in (0, 1, -1):
            found = block_attention(vit, seen, block)
            assert found.shape == (1, 3, tokens, tokens)
            torch.testing.assert_close(found[0].double(), matrices[block], rtol=0, atol=1e-6)
            assert found.std() * tokens > 0.1  # spread against the mean: not the trivial uniform case
        flow = torch.eye(tokens, dtype=torch.float64)
        for matrix in matrices:
            flow = (matrix.mean(0) + torch.eye(len(flow))) / 2 @ flow
        torch.testing.assert_close(attention_rollout(vit, seen)[0].double(), flow, rtol=0, atol=1e-6)
    assert all(layer.fused_attn for layer, _, _ in layers)  # as they were


@pytest.mark.parametrize(("name", "prefix", "has_cls", "patch", "mean"), FAMILIES, ids=NAMES)
def test_a_map_is_the_row_of_its_token(
    name: str, prefix: int, has_cls: bool, patch: int, mean: float, tiny: Callable[..., AnyViT]
) -> None:
    vit, image = tiny(name), np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    side = 64 // patch
    seen = vit.to_input(torch.from_numpy(image).permute(2, 0, 1)[None], (side * patch, side * patch))
    with torch.inference_mode():
        matrix = block_attention(vit, seen)[0]  # [h, tokens, tokens]
    asked: dict[Token, int] = {(20, 50): prefix + (20 * side // 64) * side + 50 * side // 64}
    asked |= {"cls": 0} if has_cls else {}
    for token, row in asked.items():
        tokens = matrix[None, :, row, prefix:].unflatten(2, (side, side))
        expected = resize_maps(tokens, 64, "nearest-bilinear", side * patch)[0]
        np.testing.assert_allclose(attention_maps(image, vit, token=token), expected.numpy(), atol=1e-6)
        assert attention_maps(image, vit, token=token, rollout=True).shape == (1, 64, 64)
    if not has_cls:
        with pytest.raises(ValueError, match=rf"{name}.*no CLS token"):
            attention_maps(image, vit)


@pytest.mark.parametrize("shape", [(96, 96), (100, 131)])
def test_the_kits_vit_gives_the_papers_maps(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    vit = load_any_vit("tour")
    height, width = vit.input_shape(*shape)
    seen = vit.to_input(torch.from_numpy(image)[None, None], (height, width))
    if shape == (height, width):
        torch.testing.assert_close(seen, to_vit_input(torch.from_numpy(image)[None, None], 96), rtol=0, atol=1e-6)
    with torch.inference_mode():
        matrix, cls = attention_matrix(vit.module, seen), cls_attention(vit.module, seen)
        torch.testing.assert_close(block_attention(vit, seen), matrix, rtol=0, atol=1e-6)
    grid = (height // 8, width // 8)
    tokens = cls[:, :, 1:].unflatten(2, grid)
    expected = resize_maps(tokens, shape, "nearest-bilinear", (height, width))[0]
    np.testing.assert_allclose(dainet.attention_maps(image, "tour"), expected.numpy(), atol=1e-6)
    pixel = (shape[0] - 1, shape[1] - 1)  # the last patch
    last = resize_maps(matrix[:, :, -1, 1:].unflatten(2, grid), shape, "nearest-bilinear", (height, width))[0]
    np.testing.assert_allclose(dainet.attention_maps(image, vit, token=pixel), last.numpy(), atol=1e-6)


def test_a_bright_square_is_where_it_is_in_the_map(tiny: Callable[..., AnyViT]) -> None:
    """Rows and columns are not exchanged: on an oblong image, one differing patch stands out where it lies."""
    vit, image = tiny("vit_small_patch16_224.dino"), np.full((64, 128), 0.4, np.float32)
    before = attention_maps(image, vit, block=0)
    image[16:32, 80:96] = 1
    change = np.abs(attention_maps(image, vit, block=0) - before).sum(0)
    assert np.unravel_index(change.argmax(), change.shape) == (16, 80)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("swin_tiny_patch4_window7_224", "SwinTransformer"),
        ("samvit_base_patch16", "VisionTransformerSAM"),
        ("xcit_nano_12_p16_224", "Xcit"),
        ("resnet18", "ResNet"),
        ("naflexvit_base_patch16_gap", "NaFlexVit"),
    ],
)
def test_other_networks_are_refused_before_weights_are_fetched(name: str, kind: str) -> None:
    for arguments in ((name,), ("random", name)):
        with pytest.raises(ValueError, match=rf"{name}.*{kind}"):
            load_any_vit(*arguments)


@pytest.mark.parametrize(
    ("name", "changes", "layer"),
    [
        ("vit_dlittle_patch16_reg1_gap_256", TINY, "DiffAttention"),
        ("cait_xxs24_224", {"depth": 2}, "TalkingHeadAttn"),
        ("vit_small_patch16_18x2_224", TINY, "ParallelThingsBlock"),
    ],
)
def test_other_kinds_of_attention_are_refused_by_name(
    name: str, changes: dict[str, Any], layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **arguments: create(name, **changes, **arguments))
    with pytest.raises(ValueError, match=rf"{name}.*{layer}"):
        attention_maps(np.zeros((32, 32), np.float32), load_any_vit("random", name), token=(0, 0))


def test_wrong_requests_name_what_is_there(tiny: Callable[..., AnyViT]) -> None:
    image, vit = np.zeros((20, 30), np.float32), tiny("vit_small_patch16_224.dino")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"block": 3}, r"block 3.*0 to 2"),
        ({"block": -4}, r"block -4.*0 to 2"),
        ({"token": (20, 0)}, r"\(20, 0\).*20 rows and 30 columns"),
        ({"token": (0, -1)}, r"\(0, -1\).*30 columns"),
        ({"size": 15}, r"15 px.*16 px"),
        ({"size": 0}, r"size 0 px"),
        ({"size": 3200}, r"200 x 300 patches.*10000"),
    ]
    for arguments, words in wrong:
        with pytest.raises(ValueError, match=words):
            attention_maps(image, vit, **arguments)
    with pytest.raises(ValueError, match=r"\(20, 30, 4\)"):
        attention_maps(np.zeros((20, 30, 4), np.float32), vit)
    for value in (np.nan, np.inf):
        with pytest.raises(NonFiniteError):
            attention_maps(np.full((20, 30), value, np.float32), vit)
    with pytest.raises(ValueError, match=r"beit.*64 px only.*128"):
        attention_maps(image, tiny("beit_base_patch16_224.in22k_ft_in22k"), size=128)


@pytest.mark.parametrize("token", ["CLS", "patch", 5, (3,), (3, 4, 5), (1.5, 2), None, ("3", "4")])
def test_what_names_no_token_is_refused_in_one_line(tiny: Callable[..., AnyViT], token: Any) -> None:
    image, vit = np.zeros((20, 30), np.float32), tiny("vit_small_patch16_224.dino")
    with pytest.raises(InputError, match=r"token .*row and column"):
        attention_maps(image, vit, token=token)
    same: Any = [3, np.int64(4)]
    np.testing.assert_array_equal(attention_maps(image, vit, token=same), attention_maps(image, vit, token=(3, 4)))


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-125, 275), (-3, 3)])
def test_gray_values_far_from_0_to_1_are_refused(tiny: Callable[..., AnyViT], low: int, high: int) -> None:
    image, vit = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30), tiny("vit_small_patch16_224.dino")
    with pytest.raises(InputError, match=rf"{low} to {high}"):
        attention_maps(low + (high - low) * image, vit)
    assert np.isfinite(attention_maps(1.3 * image - 0.1, vit)).all()  # a cubic resize overshoots


def test_a_file_is_read_strictly_for_the_model_that_is_named(tmp_path: Path, tiny: Callable[..., AnyViT]) -> None:
    vit, name = tiny("vit_small_patch16_dinov3"), "vit_small_patch16_dinov3.lvd1689m"
    state, path = dict(vit.module.state_dict()), tmp_path / "v3.safetensors"
    save_file(state | {"head.weight": torch.ones(2, 48), "head.bias": torch.ones(2)}, path)  # timm's classifier
    loaded = load_any_vit(str(path), name)
    assert loaded.name == f"v3.safetensors ({name})"
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(block_attention(loaded, images), block_attention(vit, images), rtol=0, atol=0)
    state.pop("norm.bias")
    save_file(state, path)
    with pytest.raises(ValueError, match=r"v3\.safetensors.*norm\.bias"):
        load_any_vit(str(path), name)
    with pytest.raises(ValueError, match=r"hub.*file"):
        load_any_vit("hub", name)
    with pytest.raises(ValueError, match=r"vit_smal_patch16_dinov3.*did you mean vit_small_patch16_dinov3"):
        load_any_vit("random", "vit_smal_patch16_dinov3")


def test_a_timm_name_is_taken_with_its_own_input(monkeypatch: pytest.MonkeyPatch) -> None:
    create, asked = timm.create_model, []

    def hub(name: str, pretrained: bool = False, **arguments: Any) -> Any:
        asked.append((name, pretrained))
        return create(name, **TINY, **arguments)

    monkeypatch.setattr(timm, "create_model", hub)
    name = "vit_base_patch16_clip_224.openai"
    vit = load_any_vit(name)
    assert asked[-1] == (name, True)
    assert (vit.name, vit.size_px, vit.any_size, vit.module.training) == (name, 224, True, False)
    assert (vit.mean, vit.std) == ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    gray = torch.rand(1, 1, 224, 224)
    expected = (gray - torch.tensor(vit.mean)[:, None, None]) / torch.tensor(vit.std)[:, None, None]
    torch.testing.assert_close(vit.to_input(gray, (224, 224)), expected)


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    take_hub_offline(monkeypatch)
    with pytest.raises(ConnectionError, match=r"vit_small_patch16_dinov3\.lvd1689m.*--weights FILE"):
        load_any_vit("vit_small_patch16_dinov3")
