"""MT-UNet, compared with golden numbers of an independent implementation."""

from __future__ import annotations

import pytest
import torch

from dainet.errors import InputError
from dainet.segmentation.baselines.mt_unet import AxialAttention, MTUNet, mt_unet, mt_unet_small
from dainet.segmentation.networks import parameter_count
from tests.helpers.golden import check_golden, fill, golden_image


@pytest.mark.parametrize(("classes", "count"), [(4, 79_075_064), (9, 79_075_389)])
def test_parameter_count(classes: int, count: int) -> None:
    with torch.device("meta"):
        assert parameter_count(mt_unet(classes, 224)) == count


def test_parameter_counts_of_the_parts() -> None:
    with torch.device("meta"):
        model = mt_unet(4, 224)
    parts = (model.encoder[0][0], model.encoder[1][0], model.bottleneck[0])  # type: ignore[index]
    assert [parameter_count(part) for part in parts] == [1_192_562, 4_744_338, 18_925_778]


@pytest.mark.slow
def test_golden_numbers() -> None:
    with torch.no_grad():
        logits = fill(mt_unet(4, 224), bias=-0.5, shift=0.1)(golden_image())
    check_golden(logits, (-4.73525, 62.9596, 10.7041, -12.9492, -107.56, -13.0095))


def test_every_parameter_gets_a_gradient_but_those_without_effect() -> None:
    torch.manual_seed(0)
    model = MTUNet(4, 256, width=8).double()  # at this size even the deepest level has several windows
    (model(torch.rand(1, 1, 256, 256).double()) ** 2).mean().backward()
    names = [name for name, _ in model.named_parameters()]
    unused = {name for name, p in model.named_parameters() if p.grad is None}
    assert unused == {name for name in names if ".axial.unused." in name}
    idle = {name for name, p in model.named_parameters() if name not in unused and p.grad.abs().sum() < 1e-12}
    before_softmax = ("axial.bias", "norm2.bias", "external.expand.bias", "external.keys.bias")  # which cancels them
    assert idle == {name for name in names if name.endswith((*before_softmax, "side.0.bias"))}  # and so does batch norm


def test_the_reduced_form_runs_at_64_px() -> None:
    assert mt_unet_small(4, 64)(torch.rand(2, 1, 64, 64)).shape == (2, 4, 64, 64)


def test_scores_between_tokens_are_those_of_the_formula_in_loops() -> None:
    torch.manual_seed(0)
    attention = AxialAttention(4).double()
    x = torch.rand(1, 2, 3, 4).double()
    q, k, v = attention.qkv(x)[0].chunk(3, dim=-1)
    expected = torch.zeros(2, 3, 4).double()
    for row in range(2):
        for column in range(3):
            line = [q[row, column] @ k[row, j] - attention.shift * (column - j) ** 2 for j in range(3)]
            expected[row, column] += torch.stack(line).flatten().softmax(0) @ v[row]
            line = [q[row, column] @ k[i, column] - attention.shift * (row - i) ** 2 for i in range(2)]
            expected[row, column] += torch.stack(line).flatten().softmax(0) @ v[:, column]
    torch.testing.assert_close(attention(x)[0], expected)


def test_gray_is_repeated_and_maps_are_ignored() -> None:
    model = mt_unet_small(4, 64).eval()
    image = torch.rand(1, 1, 64, 64)
    assert torch.equal(model(image, torch.rand(1, 6, 64, 64)), model(image.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("shape", [(2, 64, 64), (1, 96, 96), (1, 64, 32)])
def test_other_channels_and_sizes_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=rf"{shape[0]} channels|{shape[1]} x {shape[2]} px.*64 x 64"):
        mt_unet_small(4, 64)(torch.rand(1, *shape))


@pytest.mark.parametrize("image_size", [32, 80, 200])
def test_a_grid_that_cannot_be_halved_is_refused_when_built(image_size: int) -> None:
    with pytest.raises(InputError, match=rf"{image_size}.*multiples of 32 from 64"):
        MTUNet(4, image_size, width=16)
