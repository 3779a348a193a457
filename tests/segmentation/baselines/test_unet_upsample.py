from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from dainet.errors import InputError
from dainet.segmentation.baselines.unet_upsample import Gate
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count
from tests.helpers.golden import check_golden, fill, golden_image
from tests.helpers.gradients import without_gradient

NAMES = ["unet-upsample", "attn-unet"]


@pytest.mark.parametrize(
    ("name", "in_channels", "classes", "count"),
    [
        ("unet-upsample", 1, 4, 34_526_084),
        ("unet-upsample", 1, 9, 34_526_409),
        ("unet-upsample", 3, 4, 34_526_084 + 1_152),
        ("attn-unet", 1, 4, 34_877_616),
        ("attn-unet", 1, 9, 34_877_941),
    ],
)
def test_parameter_counts_are_those_of_the_published_networks(
    name: str, in_channels: int, classes: int, count: int
) -> None:
    with torch.device("meta"):
        assert parameter_count(build(name, in_channels, classes=classes)) == count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unet-upsample", (0.445586, 0.738828, -0.00294105, 0.409997, -0.103732, -0.0115689)),
        ("attn-unet", (0.318885, 0.477018, 0.00372447, 0.421655, -0.134623, 0.0095135)),
    ],
)
def test_golden_numbers(name: str, expected: Sequence[float]) -> None:
    with torch.no_grad():
        check_golden(fill(build(name))(golden_image()), expected)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    assert without_gradient(build(name, classes=5, width=4), size=32, classes=5) == set()


@pytest.mark.parametrize("name", NAMES)
def test_maps_are_ignored_and_wrong_images_refused(name: str) -> None:
    model = build(name, width=4).eval()
    image = torch.rand(1, 1, 32, 48)
    assert torch.equal(model(image), model(image, torch.rand(1, 6, 32, 48)))
    with pytest.raises(InputError, match=r"30 x 32 px.*32 x 32"):
        model(torch.rand(1, 1, 30, 32))
    with pytest.raises(InputError, match=r"3 channels.*expected 1"):
        model(torch.rand(1, 3, 32, 32))


def test_a_gate_scales_all_channels_of_a_pixel_alike_by_a_number_between_0_and_1() -> None:
    torch.manual_seed(0)
    decoded, skip = torch.randn(2, 9, 4, 4), torch.randn(2, 6, 4, 4)
    ratio = Gate(9, 6, 3)(decoded, skip) / skip
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert 0 < ratio.min() < ratio.max() < 1


def test_the_narrowest_gated_network_has_gates_of_one_channel() -> None:
    model: Any = build("attn-unet", width=1)
    assert [gate.to_map[0].in_channels for gate in model.gates] == [4, 2, 1, 1]
    assert model(torch.rand(2, 1, 16, 16)).shape == (2, 4, 16, 16)
