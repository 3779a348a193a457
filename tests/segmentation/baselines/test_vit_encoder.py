from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from scipy import ndimage
from torch import Tensor, nn

from dainet.errors import InputError
from dainet.segmentation.baselines.vit_encoder import (
    PRETRAINED,
    PRETRAINED_HYBRID,
    PUBLISHED,
    SMALL,
    Encoder,
    r50,
    r50_features,
)
from dainet.segmentation.networks import parameter_count
from tests.helpers.golden import fill, golden_image

TIMM = {False: PRETRAINED, True: PRETRAINED_HYBRID}
# The ResNet of timm's hybrid has one size.
SHALLOW = {True: PUBLISHED._replace(embedding=96, blocks=2, heads=3), False: SMALL}


def timm_model(hybrid: bool, **sizes: Any) -> nn.Module:
    return timm.create_model(TIMM[hybrid], pretrained=False, **sizes)


def timm_state(hybrid: bool, image_size: int) -> dict[str, Tensor]:
    """Tensors of timm's model, none of which is a constant."""
    sizes = SHALLOW[hybrid]
    torch.manual_seed(0)
    model = timm_model(
        hybrid, embed_dim=sizes.embedding, depth=sizes.blocks, num_heads=sizes.heads, img_size=image_size
    )
    return {name: torch.randn_like(tensor) for name, tensor in model.state_dict().items()}


def test_golden_numbers_of_the_resnet() -> None:
    with torch.no_grad():
        root, first, second, third = r50_features(fill(r50(PUBLISHED)), golden_image().expand(-1, 3, -1, -1))
    means = [float(skip.mean()) for skip in (second, first, root)]
    assert means == pytest.approx([1.29572, 0.920981, 0.311817], rel=1e-4)
    assert third.shape == (1, 1024, 14, 14)
    found = [float(third.mean()), float(third.std(correction=0)), float(third[0, 5, 7, 7])]
    assert found == pytest.approx([2.92436, 4.06344, 2.18343], rel=1e-4)


def test_parameter_counts_of_the_parts() -> None:
    with torch.device("meta"):
        hybrid = Encoder(224, PUBLISHED, hybrid=True)
        plain = Encoder(224, PUBLISHED, hybrid=False)
    assert parameter_count(hybrid.r50) == 11_894_848
    assert parameter_count(hybrid.vit.patch_embed) == 787_200
    assert hybrid.vit.pos_embed.numel() == 150_528
    assert parameter_count(hybrid.vit.blocks) + parameter_count(hybrid.vit.norm) == 85_056_000
    assert parameter_count(plain) == 85_797_120


@pytest.mark.parametrize("size", [64, 96])
def test_only_the_skip_is_padded(size: int) -> None:
    torch.manual_seed(0)
    model = r50(SMALL).eval()
    image = torch.rand(2, 3, size, size)
    root, first, second, third = r50_features(model, image)
    assert [feature.shape[-1] for feature in (root, first, second, third)] == [size // 2**n for n in (1, 2, 3, 4)]
    assert not first[..., -1, :].any()
    assert not first[..., -1].any()
    assert first[..., -2, :-1].any()
    torch.testing.assert_close(model.stages[1](first[..., :-1, :-1]), second)


def test_dropout_stands_after_the_positions_and_after_each_linear_of_the_mlp_alone() -> None:
    vit: Any = Encoder(64, SMALL, hybrid=False).vit
    active = {name: part.p for name, part in vit.named_modules() if isinstance(part, nn.Dropout) and part.p}
    blocks = {f"blocks.{block}.mlp.drop{number}" for block in range(SMALL.blocks) for number in (1, 2)}
    assert active == dict.fromkeys({"pos_drop", *blocks}, 0.1)
    assert all(block.attn.attn_drop.p == 0 for block in vit.blocks)
    assert not vit.pos_embed.any()


@pytest.mark.parametrize("hybrid", [False, True])
def test_timms_weights_of_full_size_fit_and_only_cls_token_and_head_are_left(hybrid: bool) -> None:
    with torch.device("meta"):
        left = Encoder(224, PUBLISHED, hybrid=hybrid).load(timm_model(hybrid).state_dict())
    assert {name for name in left if not name.startswith("head.")} == {"cls_token"}


@pytest.mark.parametrize("hybrid", [False, True])
def test_every_tensor_of_the_encoder_is_the_one_of_timm(hybrid: bool) -> None:
    encoder, state = Encoder(64, SHALLOW[hybrid], hybrid=hybrid), timm_state(hybrid, image_size=64)
    encoder.load(state)
    arrived = encoder.state_dict()
    assert torch.equal(arrived.pop("vit.pos_embed"), state["pos_embed"][:, 1:])
    for name, tensor in arrived.items():
        source = name.removeprefix("vit.").replace("r50.", "patch_embed.backbone.")
        assert torch.equal(tensor, state[source]), name
    assert any(name.startswith("r50.stages.0.blocks.0.downsample.norm.") for name in arrived) == hybrid


@pytest.mark.parametrize("cls", [True, False])
def test_positions_are_resized_linearly_without_their_cls_row(cls: bool) -> None:
    state = timm_state(False, image_size=64)
    if not cls:
        del state["cls_token"]
        state["pos_embed"] = state["pos_embed"][:, 1:]
    encoder = Encoder(96, SMALL, hybrid=False)
    encoder.load(state)
    grid = state["pos_embed"][0, int(cls) :].reshape(4, 4, -1).numpy()
    expected = ndimage.zoom(grid, (6 / 4, 6 / 4, 1), order=1).reshape(1, 36, -1)
    torch.testing.assert_close(encoder.vit.pos_embed.data, torch.from_numpy(expected))


def test_weights_of_another_network_are_refused() -> None:
    plain, hybrid = timm_state(False, image_size=64), timm_state(True, image_size=64)
    with pytest.raises(InputError, match=r"patch_embed\.backbone\.stages\.0"):
        Encoder(64, SHALLOW[True], hybrid=True).load(plain)
    with pytest.raises(InputError, match=r"blocks\.2"):
        Encoder(64, SHALLOW[False], hybrid=False).load(hybrid)
    with pytest.raises(InputError, match=r"blocks\.0"):
        Encoder(64, SMALL, hybrid=False).load({"layer1.0.conv1.weight": torch.rand(1)})
    with pytest.raises(InputError, match=r"17 positions.*square"):
        Encoder(64, SMALL, hybrid=False).load({name: plain[name] for name in plain if name != "cls_token"})
    with pytest.raises(InputError, match=r"embed.*96"):
        Encoder(64, SMALL._replace(embedding=48), hybrid=False).load(plain)


@pytest.mark.parametrize("size", [0, 8, 60, 225])
def test_an_image_size_between_multiples_of_16_is_refused_when_built(size: int) -> None:
    with pytest.raises(InputError, match=rf"image_size.*{size} px.*16"):
        Encoder(size, SMALL, hybrid=True)
