"""The U-Nets on a ResNet-50, compared with SMP's own, and the weights of timm and torchvision in their encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from segmentation_models_pytorch.encoders._utils import patch_first_conv
from torch import nn
from torchvision.models import resnet50

from dainet.errors import InputError
from dainet.segmentation.baselines.r50_unet import (
    R50UNet,
    r50_attn_unet,
    r50_attn_unet_small,
    r50_unet,
    r50_unet_small,
)
from dainet.segmentation.networks import parameter_count
from tests.helpers.gradients import without_gradient

GATES = sum(  # two convolutions 1x1 with bias, one of them to one channel, and three batch norms
    (decoded + skip + 1) * (skip // 2) + skip // 2 + skip // 2 + 1 + 2 * (2 * (skip // 2) + 1)
    for decoded, skip in ((2048, 1024), (256, 512), (128, 256), (64, 64))
)


@pytest.mark.parametrize(("classes", "count"), [(4, 32_515_268), (9, 32_515_993)])
def test_parameter_counts(classes: int, count: int) -> None:
    with torch.device("meta"):
        assert parameter_count(r50_unet(1, classes)) == count
        assert parameter_count(r50_unet(3, classes)) == count + 6272
        assert parameter_count(r50_attn_unet(1, classes)) == count + GATES


def test_the_network_is_smps() -> None:
    torch.manual_seed(0)
    model = r50_unet(1, 4).eval()
    reference = smp.Unet("resnet50", encoder_weights=None, in_channels=1, classes=4).eval()
    reference.load_state_dict(model.state_dict())
    image = torch.rand(1, 1, 64, 96)
    with torch.no_grad():
        assert torch.equal(model(image), reference(image))


def test_gates_that_are_open_change_nothing() -> None:
    torch.manual_seed(0)
    plain = r50_unet_small().eval()
    gated: Any = r50_attn_unet_small().eval()
    loaded = gated.load_state_dict(plain.state_dict(), strict=False)
    assert not loaded.unexpected_keys
    assert all(name.startswith("gates.") for name in loaded.missing_keys)
    image = torch.rand(1, 1, 48, 64)
    with torch.no_grad():
        assert not torch.allclose(gated(image), plain(image))
        for gate in gated.gates:
            gate.to_map[1].bias.fill_(100)  # sigmoid(100) is 1 in float32
        torch.testing.assert_close(gated(image), plain(image))


@pytest.mark.parametrize("build", [r50_unet_small, r50_attn_unet_small])
def test_every_parameter_gets_a_gradient(build: Callable[[int], R50UNet]) -> None:
    assert without_gradient(build(2), size=64, classes=4, channels=2) == set()


def test_other_channels_are_refused() -> None:
    with pytest.raises(InputError, match=r"1 channels.*expected 3"):
        r50_unet_small(3)(torch.rand(1, 1, 64, 64))


@pytest.fixture(scope="module")
def source() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(R50UNet.pretrained_name.partition(".")[0], pretrained=False)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_tensor_of_timms_resnet_arrives_and_the_first_convolution_is_fitted_as_in_smp(
    source: nn.Module, channels: int
) -> None:
    model = r50_unet(channels)
    assert model.load_encoder(source.state_dict()) == ["fc.bias", "fc.weight"]
    first = nn.Conv2d(3, 64, 7)
    first.load_state_dict({"weight": source.state_dict()["conv1.weight"], "bias": torch.zeros(64)})
    patch_first_conv(nn.Sequential(first), channels)
    torch.testing.assert_close(model.encoder.conv1.weight, first.weight)
    for name, tensor in model.encoder.state_dict().items():
        assert name == "conv1.weight" or torch.equal(tensor, source.state_dict()[name]), name


def test_torchvision_names_are_the_same(source: nn.Module) -> None:
    with torch.device("meta"):
        assert resnet50().state_dict().keys() == source.state_dict().keys()


def test_weights_of_another_resnet_are_refused(source: nn.Module) -> None:
    with pytest.raises(InputError, match=r"layer1"):
        r50_unet_small().load_encoder(source.state_dict())
    with pytest.raises(InputError, match=r"conv1\.weight"):
        r50_unet_small().load_encoder({})
