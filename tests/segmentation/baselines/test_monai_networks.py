"""V-Net and MedNeXt-S in two dimensions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from monai.networks.nets import MedNeXtS
from torch import nn

from dainet.errors import InputError
from dainet.segmentation.baselines.monai_networks import ImageNetwork, mednext_s, mednext_s_small, vnet_2d
from dainet.segmentation.networks import parameter_count
from tests.helpers.gradients import without_gradient


@pytest.mark.parametrize(("build", "counts"), [(vnet_2d, [9_360_348, 9_364_428]), (mednext_s, [5_472_068, 5_472_233])])
def test_parameter_counts(build: Callable[[int, int], nn.Module], counts: list[int]) -> None:
    with torch.device("meta"):
        assert [parameter_count(build(1, classes)) for classes in (4, 9)] == counts


@pytest.mark.parametrize("build", [vnet_2d, mednext_s_small])
def test_every_parameter_gets_a_gradient(build: Callable[[int, int], nn.Module]) -> None:
    assert without_gradient(build(2, 4), size=64, classes=4, channels=2) == set()


def test_mednext_is_monais() -> None:
    model = mednext_s(1, 4).eval()
    monai = MedNeXtS(spatial_dims=2, in_channels=1, out_channels=4).eval()
    monai.load_state_dict(model.network.state_dict())
    image = torch.rand(1, 1, 32, 48)
    with torch.no_grad():
        assert torch.equal(model(image), monai(image))


def test_the_dropout_of_vnet_drops_channels_of_an_image_not_whole_images() -> None:
    torch.manual_seed(0)
    dropouts = [
        (name, part) for name, part in vnet_2d().named_modules() if name.rpartition(".")[2].startswith("dropout")
    ]
    assert len(dropouts) == 8
    for name, dropout in dropouts:
        kept = dropout(torch.ones(4, 64, 2, 2))
        assert (kept == kept[:, :, :1, :1]).all(), name
        assert ((kept > 0).float().mean(dim=(1, 2, 3)) - 0.5).abs().max() < 0.3, name  # in every image


@pytest.mark.parametrize("build", [vnet_2d, mednext_s_small])
def test_other_channels_and_sizes_are_refused(build: Callable[[int, int], ImageNetwork]) -> None:
    model = build(1, 4)
    with pytest.raises(InputError, match=r"2 channels.*expected 1"):
        model(torch.rand(1, 2, 64, 64))
    with pytest.raises(InputError, match=r"64 x 72 px.*multiples of 16, such as 64 x 80"):
        model(torch.rand(1, 1, 64, 72))


def test_channels_that_do_not_divide_16_are_refused_when_vnet_is_built() -> None:
    with pytest.raises(InputError, match=r"3 image channels.*divisor of 16"):
        vnet_2d(3)
