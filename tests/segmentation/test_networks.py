import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count

SWITCHES = ["".join(digits) for digits in itertools.product("01", repeat=4)]
NAMES = ["unet", "single", *(f"dual-{digits}" for digits in SWITCHES)]


@pytest.mark.parametrize(
    ("name", "width", "millions"),
    [  # docs/protocol.md#5.22, counted by hand from the layer table, 9 classes
        ("unet", 64, 31.04),
        ("single", 64, 31.04),
        ("dual-0000", 64, 51.98),
        ("dual-1111", 64, 55.12),
        ("unet", 32, 7.76),
        ("dual-0000", 32, 13.00),
        ("dual-1111", 32, 13.79),
    ],
)
def test_parameter_counts(name: str, width: int, millions: float) -> None:
    assert parameter_count(build(name, classes=9, width=width)) / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize("name", NAMES)
def test_logits_have_the_images_size_and_every_parameter_gets_a_gradient(name: str) -> None:
    model = build(name, in_channels=1, heads=3, classes=5, width=4)
    logits = model(torch.rand(2, 1, 32, 48), torch.rand(2, 3, 32, 48))
    assert logits.shape == (2, 5, 32, 48)
    (logits**2).mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(parameter.grad.abs().sum() > 0 for n, parameter in model.named_parameters() if "head" in n)


@pytest.mark.parametrize("name", ["unet", "single", "dual-1111"])
def test_no_bias_stands_before_a_batch_norm_that_would_cancel_it(name: str) -> None:
    layers = list(build(name, width=4).modules())
    before_norm = [a for a, b in itertools.pairwise(layers) if isinstance(b, torch.nn.BatchNorm2d)]
    assert len(before_norm) >= 18
    assert all(layer.bias is None for layer in before_norm)


@pytest.mark.parametrize("digits", SWITCHES)
def test_a_skip_that_is_off_has_no_weights_in_the_decoder(digits: str) -> None:
    width = 4
    model: Any = build(f"dual-{digits}", heads=3, width=width)
    for switch, block, level in zip(digits, model.decoder.blocks, (3, 2, 1, 0), strict=True):
        channels = width * 2**level
        assert block[0].in_channels == channels * (3 if switch == "1" else 2)  # upsampled, image skip, attention skip


def test_switch_1_is_the_deepest_unless_told_otherwise() -> None:
    assert build("dual-1000", width=4).skips_on == (True, False, False, False)
    assert build("dual-1000", width=4, switch_order="shallow-first").skips_on == (False, False, False, True)


def convolved(block: Any, x: Tensor) -> Tensor:
    for conv, norm in ((block[0], block[1]), (block[3], block[4])):
        x = functional.conv2d(x, conv.weight, padding=1)
        mean, var = (value[:, None, None] for value in (norm.running_mean, norm.running_var))
        x = ((x - mean) / (var + 1e-5).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]).clamp(min=0)
    return x


def encoded(encoder: Any, x: Tensor) -> list[Tensor]:
    features = [convolved(encoder.blocks[0], x)]
    for block in encoder.blocks[1:]:
        features.append(convolved(block, functional.max_pool2d(features[-1], 2)))
    return features


@pytest.mark.parametrize(("name", "deepest_on"), [("single", ()), ("dual-0110", (False, True, True, False))])
def test_the_networks_are_those_of_figure_2_written_out(name: str, deepest_on: tuple[bool, ...]) -> None:
    torch.manual_seed(0)
    model: Any = build(name, heads=3, width=4).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3)
    image, maps = torch.rand(2, 1, 32, 48), torch.rand(2, 3, 32, 48)
    if name == "single":
        *skips, x = encoded(model.encoder, torch.cat([image, maps], dim=1))
        levels = [[skip] for skip in skips]
    else:
        *skips, bottom = encoded(model.image_encoder, image)
        *others, other_bottom = encoded(model.attention_encoder, maps)
        x = torch.cat([bottom, other_bottom], dim=1)
        levels = [[a, b] if on else [a] for a, b, on in zip(skips, others, reversed(deepest_on), strict=True)]
    for up, block, level in zip(model.decoder.ups, model.decoder.blocks, reversed(levels), strict=True):
        x = functional.conv_transpose2d(x, up.weight, up.bias, stride=2)
        x = convolved(block, torch.cat([*level, x], dim=1))
    expected = functional.conv2d(x, model.head.weight, model.head.bias)
    torch.testing.assert_close(model(image, maps), expected, rtol=1e-4, atol=1e-4)


def test_a_switched_off_skip_carries_nothing() -> None:
    """With 0000 the attention reaches the logits through the bottleneck alone; zero its weights and it is gone."""
    torch.manual_seed(0)
    model: Any = build("dual-0000", heads=3, width=4).eval()
    image, first, second = torch.rand(1, 1, 32, 32), torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    assert not torch.equal(model(image, first), model(image, second))
    with torch.no_grad():
        model.decoder.ups[0].weight[16 * 4 :] = 0  # the attention half of the concatenated bottleneck
    assert torch.equal(model(image, first), model(image, second))


def test_unet_ignores_attention() -> None:
    model = build("unet", width=4).eval()
    image = torch.rand(1, 1, 32, 32)
    assert torch.equal(model(image), model(image, torch.rand(1, 6, 32, 32)))


@pytest.mark.parametrize("name", ["unet", "single", "dual-1111"])
def test_odd_sizes_name_the_next_valid_one(name: str) -> None:
    with pytest.raises(ValueError, match=r"30 x 33 px.*multiples of 16.*\(32, 48\)"):
        build(name, width=4)(torch.rand(1, 1, 30, 33), torch.rand(1, 6, 30, 33))


@pytest.mark.parametrize("name", ["single", "dual-1111"])
def test_missing_maps_are_named(name: str) -> None:
    model = build(name, width=4)
    with pytest.raises(ValueError, match=r"none.*6.*head"):
        model(torch.rand(1, 1, 32, 32), None)
    with pytest.raises(ValueError, match=r"4 maps.*6.*head"):
        model(torch.rand(1, 1, 32, 32), torch.rand(1, 4, 32, 32))


@pytest.mark.parametrize("name", ["u-net", "dual", "dual-11", "dual-1112", "Single"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(ValueError, match=r"unet.*single.*dual-"):
        build(name)


def test_unknown_switch_order() -> None:
    with pytest.raises(ValueError, match=r"deep-first.*shallow-first"):
        build("dual-1111", switch_order="random")
