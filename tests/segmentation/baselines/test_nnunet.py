"""nnU-Net's plain U-Net, compared with the library's own network and its deep supervision."""

from __future__ import annotations

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import Tensor, nn
from torch.nn import functional

from dainet.errors import InputError
from dainet.segmentation.baselines.nnunet import nnunet_2d, nnunet_2d_small
from dainet.segmentation.networks import parameter_count
from tests.helpers.gradients import without_gradient

WIDTHS = (8, 16, 32, 64, 128)


@pytest.mark.parametrize(("classes", "count"), [(4, 20_621_076), (9, 20_626_061)])
def test_parameter_count(classes: int, count: int) -> None:
    with torch.device("meta"):
        assert parameter_count(nnunet_2d(1, classes)) == count


def library_network() -> PlainConvUNet:
    norm = {"norm_op": nn.InstanceNorm2d, "norm_op_kwargs": {"affine": True}}
    act = {"nonlin": nn.LeakyReLU, "deep_supervision": True}
    return PlainConvUNet(1, 5, WIDTHS, nn.Conv2d, 3, (1, 2, 2, 2, 2), 2, 4, 2, conv_bias=True, **norm, **act)


def test_the_heads_are_those_of_the_library_at_full_size() -> None:
    torch.manual_seed(0)
    model, library = nnunet_2d_small(), library_network()
    names = library.state_dict().keys() & model.state_dict().keys()
    assert len(names) == len(model.state_dict())
    library.load_state_dict({name: model.state_dict()[_kept(name)] for name in library.state_dict()})
    image = torch.rand(1, 1, 64, 32)
    with torch.no_grad():
        heads: list[Tensor] = library(image)  # finest first
        found = model(image)
        assert torch.equal(found[-1], heads[0])
        assert torch.equal(model.eval()(image), heads[0])
    for logits, head in zip(found, reversed(heads), strict=True):
        assert logits.shape == (1, 4, 64, 32)
        torch.testing.assert_close(logits, functional.interpolate(head, (64, 32), mode="bilinear"))


def _kept(name: str) -> str:
    """Map the library's second names of a layer to the first."""
    name = name.removeprefix("decoder.") if name.startswith("decoder.encoder.") else name
    return name.replace(".conv.", ".all_modules.0.").replace(".norm.", ".all_modules.1.")


def test_every_parameter_gets_a_gradient_from_the_heads() -> None:
    silent = without_gradient(nnunet_2d_small(), size=64, classes=4)
    assert not {name for name in silent if not name.endswith("all_modules.0.bias")}  # which instance norm cancels


@pytest.mark.parametrize(
    ("shape", "found"), [((1, 72, 64), r"72 x 64 px.*96 x 64"), ((1, 32, 64), r"32 x 64 px.*64 px")]
)
def test_sizes_that_cannot_be_halved_or_normalized_are_refused(shape: tuple[int, int, int], found: str) -> None:
    with pytest.raises(InputError, match=found):
        nnunet_2d()(torch.rand(1, *shape))


def test_other_channels_are_refused() -> None:
    with pytest.raises(InputError, match=r"3 channels.*expected 1"):
        nnunet_2d_small()(torch.rand(1, 3, 64, 64))
