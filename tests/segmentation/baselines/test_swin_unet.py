"""Swin-Unet, compared with timm's Swin transformer and with golden numbers of an independent implementation."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from dainet.errors import InputError
from dainet.segmentation.baselines.swin_unet import SwinUnet, swin_unet, swin_unet_small
from dainet.segmentation.networks import parameter_count
from tests.helpers.golden import check_golden, fill, golden_image
from tests.helpers.gradients import without_gradient

TIMM = SwinUnet.pretrained_name.partition(".")[0]


@pytest.mark.parametrize(("classes", "count"), [(4, 27_168_420), (9, 27_168_900)])
def test_parameter_count(classes: int, count: int) -> None:
    with torch.device("meta"):
        assert parameter_count(swin_unet(classes)) == count


@pytest.mark.slow
def test_golden_numbers() -> None:
    with torch.no_grad():
        logits = fill(swin_unet(4), fused_qkv="as one")(golden_image())
    check_golden(logits, (-0.0402837, 1.43876, -1.4418, 0.557083, 0.340734, 0.405002))


def test_every_parameter_gets_a_gradient() -> None:
    assert without_gradient(swin_unet_small(), size=64, classes=4) == set()


def test_the_drop_path_rises_along_the_encoder_and_is_mirrored_in_the_decoder() -> None:
    def rates(stages: Any) -> list[float]:
        return [block.stochastic_depth.p for stage in stages for block in stage]

    model = swin_unet_small(4)
    assert rates(model.encoder) == pytest.approx([0.2 * block / 7 for block in range(8)])
    assert rates(model.decoder) == pytest.approx([0.2 * block / 7 for block in (4, 5, 2, 3, 0, 1)])


def test_gray_is_repeated_and_maps_are_ignored() -> None:
    model = swin_unet_small(4).eval()
    image = torch.rand(1, 1, 64, 64)
    logits = model(image, torch.rand(1, 6, 64, 64))
    assert torch.equal(logits, model(image.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("shape", [(2, 64, 64), (1, 48, 64), (1, 64, 80)])
def test_other_channels_and_sizes_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=f"{shape[0]} channels|{shape[1]} x {shape[2]} px.*multiples of 32"):
        swin_unet_small(4)(torch.rand(1, *shape))


def encoded(model: SwinUnet, image: torch.Tensor) -> torch.Tensor:
    """Compute the encoder's normalized output [B, H/32, W/32, C]."""
    features: list[torch.Tensor] = []
    model.norm.register_forward_hook(lambda _module, _inputs, output: features.append(output))
    model(image)
    return features[0]


def test_the_encoder_with_timms_weights_computes_what_timm_does() -> None:
    torch.manual_seed(0)
    source: Any = timm.create_model(TIMM, pretrained=False, depths=(2, 2, 2, 2)).eval()  # as published
    for parameter in source.parameters():
        parameter.data.normal_(0, 0.03)
    model = swin_unet(4).eval()
    assert model.load_encoder(source.state_dict()) == ["head.fc.bias", "head.fc.weight"]
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(encoded(model, image), source.forward_features(image), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def swin_t() -> dict[str, torch.Tensor]:
    return timm.create_model(TIMM, pretrained=False).state_dict()


def test_the_encoders_blocks_are_mirrored_into_the_decoder_and_blocks_without_a_place_are_named(
    swin_t: dict[str, torch.Tensor],
) -> None:
    model = swin_unet(4)
    left = model.load_encoder(swin_t)
    assert {name for name in left if not name.startswith("head.")} == {
        name for name in swin_t if name.startswith("layers.2.blocks.") and name.split(".")[3] in "2345"
    }
    for stage in range(3):
        encoder, decoder = model.encoder[stage].state_dict(), model.decoder[2 - stage].state_dict()
        assert all(torch.equal(encoder[name], decoder[name]) for name in encoder)
        torch.testing.assert_close(encoder["1.attn.qkv.weight"], swin_t[f"layers.{stage}.blocks.1.attn.qkv.weight"])


def test_weights_of_another_size_are_refused(swin_t: dict[str, torch.Tensor]) -> None:
    with pytest.raises(InputError, match=r"expected \(24, 3, 4, 4\)"):
        swin_unet_small().load_encoder(swin_t)
    lacking = {name: tensor for name, tensor in swin_t.items() if name != "norm.weight"}
    with torch.device("meta"), pytest.raises(InputError, match=r"norm\.weight"):
        swin_unet().load_encoder(lacking)
