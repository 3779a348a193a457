import pytest
import torch

from dainet.errors import InputError
from dainet.segmentation.baselines.inputs import check_channels, check_multiple, check_size, three_channels


def test_one_channel_is_repeated_and_three_are_kept() -> None:
    gray, color = torch.rand(2, 1, 4, 5), torch.rand(2, 3, 4, 5)
    assert torch.equal(three_channels(gray), torch.cat([gray] * 3, dim=1))
    assert torch.equal(three_channels(color), color)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_channels_are_refused(channels: int) -> None:
    with pytest.raises(InputError, match=f"{channels} channels"):
        three_channels(torch.rand(2, channels, 4, 4))


@pytest.mark.parametrize("shape", [(64, 32), (32, 64), (63, 63), (128, 128)])
def test_another_size_names_both_sizes_and_the_setting(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=rf"{shape[0]} x {shape[1]} px.*64 x 64 px.*segmentation\.image_size"):
        check_size(torch.rand(1, 1, *shape), 64)
    check_size(torch.rand(1, 1, 64, 64), 64)


@pytest.mark.parametrize("channels", [0, 2, 3])
def test_channels_are_those_that_the_network_was_built_for(channels: int) -> None:
    check_channels(torch.rand(1, 1, 4, 4), 1)
    with pytest.raises(InputError, match=f"{channels} channels.* 1,.*in_channels"):
        check_channels(torch.rand(1, channels, 4, 4), 1)


@pytest.mark.parametrize(("height", "width", "larger"), [(30, 33, "32 x 48"), (32, 0, "32 x 16"), (8, 16, "16 x 16")])
def test_a_size_between_two_multiples_names_the_larger_one(height: int, width: int, larger: str) -> None:
    check_multiple(32, 48, 16)
    with pytest.raises(InputError, match=f"{height} x {width} px.*16.*{larger}.*image_size"):
        check_multiple(height, width, 16)
