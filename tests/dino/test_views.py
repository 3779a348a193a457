"""Multi-crop views: every operation compared with torchvision, and properties of the whole batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as torchvision

from dainet.dino import views
from dainet.dino.views import adjust, blur, multi_crop, random_boxes, resized_crop, solarize
from dainet.errors import InputError
from dainet.settings import DinoSettings


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def settings(**changes: object) -> DinoSettings:
    return DinoSettings.model_validate({"global_size": 32, "local_size": 16, "local_crops": 3} | changes)


@pytest.mark.parametrize(
    ("changes", "shape", "sizes"),
    [
        ({}, (4, 1, 40, 40), [32, 32, 16, 16, 16]),
        ({"local_crops": 0}, (1, 1, 24, 33), [32, 32]),
        ({"local_crops": 1, "local_size": 48}, (2, 1, 40, 31), [32, 32, 48]),
    ],
)
def test_shapes_and_range(changes: dict[str, object], shape: tuple[int, ...], sizes: list[int]) -> None:
    images = torch.rand(shape, generator=generator()).half() * 1.2 - 0.1  # overshoot as after cubic resizing
    views = multi_crop(images, settings(**changes), generator())
    assert [tuple(view.shape) for view in views] == [(shape[0], 1, size, size) for size in sizes]
    assert all(view.dtype == torch.float32 and view.min() >= 0 and view.max() <= 1 for view in views)


def test_same_seed_same_views_but_every_image_its_own() -> None:
    images = torch.rand(1, 1, 40, 40, generator=generator()).expand(3, -1, -1, -1)
    first, again, other = (multi_crop(images, settings(), generator(seed)) for seed in (1, 1, 2))
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
        assert not torch.equal(a[0], a[1])


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    multi_crop(torch.rand(2, 1, 20, 20, generator=generator()), settings(), generator())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("size", [7, 24, 60])
def test_resized_crop_is_torchvisions(size: int) -> None:
    images = torch.rand(4, 1, 40, 50, generator=generator())
    boxes = torch.tensor([[0, 0, 40, 50], [3, 9, 20, 17], [30, 40, 10, 10], [0, 21, 33, 5]])
    flip = torch.tensor([False, True, False, True])
    top, left, height, width = boxes.float().unbind(1)
    found = resized_crop(images, (top, left, height, width), flip, size)
    for i, box in enumerate(boxes.tolist()):
        expected = torchvision.resized_crop(
            images[i], *box, [size, size], interpolation=InterpolationMode.BICUBIC, antialias=True
        )
        torch.testing.assert_close(found[i], expected.flip(-1) if flip[i] else expected, atol=2e-5, rtol=0)


def test_crop_and_flip_of_a_ramp() -> None:
    ramp = ((torch.arange(40) + 0.5) / 40).expand(2, 1, 40, 40)
    top, left, height, width = torch.tensor([[0.0, 0.0], [0.0, 0.0], [40.0, 40.0], [20.0, 20.0]])
    left_half = (top, left, height, width)
    kept, mirrored = resized_crop(ramp, left_half, torch.tensor([False, True]), 20)
    torch.testing.assert_close(kept[0, 5], ramp[0, 0, 0, :20], atol=1e-5, rtol=0)
    torch.testing.assert_close(mirrored[0, 5], ramp[0, 0, 0, :20].flip(0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [(0.4, 1.0), (0.05, 0.4)])
def test_boxes_follow_torchvisions_rule(scale: tuple[float, float]) -> None:
    top, left, height, width = random_boxes(4000, (60, 50), scale, generator())
    assert all(torch.equal(box, box.round()) for box in (top, left, height, width))
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (height >= 1).all()
    assert (width >= 1).all()
    assert (top + height <= 60).all()
    assert (left + width <= 50).all()
    torch.manual_seed(0)
    image = torch.zeros(1, 60, 50)
    theirs = torch.tensor([RandomResizedCrop.get_params(image, list(scale), [3 / 4, 4 / 3]) for _ in range(4000)])
    ours = torch.stack([top, left, height, width], dim=1)
    torch.testing.assert_close(ours.mean(0), theirs.float().mean(0), atol=0.8, rtol=0)
    places = torch.stack([top / (60 - height).clamp(min=1), left / (50 - width).clamp(min=1)])
    assert abs(torch.corrcoef(places)[0, 1]) < 0.1  # drawn apart
    torch.testing.assert_close(ours.std(0), theirs.float().std(0), atol=0.8, rtol=0)


def test_boxes_fall_back_to_the_center() -> None:
    boxes = random_boxes(2, (60, 20), (1.0, 1.0), generator())
    assert [box.tolist() for box in boxes] == [[17, 17], [0, 0], [27, 27], [20, 20]]  # aspect ratio 3/4


def test_adjust_is_torchvisions() -> None:
    images = torch.rand(3, 1, 9, 9, generator=generator())
    brightness, contrast = torch.tensor([0.6, 1.0, 1.4]), torch.tensor([1.4, 1.0, 0.7])
    found = adjust(images, brightness, contrast)
    for i in range(3):
        expected = torchvision.adjust_brightness(images[i], brightness[i].item())
        torch.testing.assert_close(found[i], torchvision.adjust_contrast(expected, contrast[i].item()))


def test_blur_is_torchvisions_inside_and_keeps_a_constant() -> None:
    images = torch.rand(2, 1, 40, 40, generator=generator())
    sigma = torch.tensor([0.5, 2.0])
    found = blur(images, sigma)
    for i in range(2):
        expected = torchvision.gaussian_blur(images[i], [21, 21], [sigma[i].item()] * 2)
        torch.testing.assert_close(found[i, :, 12:-12, 12:-12], expected[:, 12:-12, 12:-12], atol=1e-5, rtol=0)
    torch.testing.assert_close(blur(torch.full((1, 1, 9, 7), 0.3), sigma[1:]), torch.full((1, 1, 9, 7), 0.3))


def test_the_narrow_blur_changes_nothing() -> None:
    images = torch.rand(1, 1, 33, 20, generator=generator())
    assert torch.equal(blur(images, torch.tensor([0.01])), images)


def test_solarize_is_torchvisions() -> None:
    images = torch.rand(2, 1, 9, 9, generator=generator())
    found = solarize(images, torch.tensor([True, False]))
    assert torch.equal(found[0], torchvision.solarize(images[0], 0.5))
    assert torch.equal(found[1], images[1])


def test_views_are_drawn_as_the_authors_draw_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """main_dino.py:419-464: scales, flips of 0.5, jitter of 0.4 in 0.8, blur by 0.1 to 2 px in 1, 0.1 and 0.5."""
    seen: dict[str, list[Any]] = {"random_boxes": [], "resized_crop": [], "adjust": [], "blur": []}

    def watch(name: str) -> None:
        function = getattr(views, name)

        def watched(*args: Any) -> Any:
            seen[name].append(args)
            return function(*args)

        monkeypatch.setattr(views, name, watched)

    for name in seen:
        watch(name)
    scales = {"global_scale": (0.3, 0.9), "local_scale": (0.1, 0.3)}
    images = torch.rand(1500, 1, 6, 6, generator=generator())
    multi_crop(images, settings(global_size=16, local_size=8, local_crops=1, **scales), generator())
    assert [args[2] for args in seen["random_boxes"]] == [(0.3, 0.9), (0.3, 0.9), (0.1, 0.3)]
    flips = [args[2].float().mean().item() for args in seen["resized_crop"]]
    assert flips == pytest.approx([0.5] * 3, abs=0.05)
    for _, brightness, contrast in seen["adjust"]:
        for factors in (brightness, contrast):
            changed = factors[factors != 1]
            assert len(changed) / 1500 == pytest.approx(0.8, abs=0.04)
            assert (changed.min().item(), changed.max().item()) == pytest.approx((0.6, 1.4), abs=0.01)
        assert torch.equal(brightness == 1, contrast == 1)
        assert not torch.equal(brightness, contrast)
    shares = []
    for _, sigma in seen["blur"]:
        blurred = sigma[sigma != 0.01]
        shares.append(len(blurred) / 1500)
        assert (blurred.min().item(), blurred.max().item()) == pytest.approx((0.1, 2.0), abs=0.05)
    assert shares == pytest.approx([1, 0.1, 0.5], abs=0.04)


def test_only_the_second_global_view_is_solarized() -> None:
    views = multi_crop(torch.full((500, 1, 8, 8), 0.9), settings(global_size=16, local_size=8), generator())
    shares = [share_below_half(view) for view in views]  # brightness alone stays above 0.54
    assert shares[1] == pytest.approx(0.2, abs=0.05)
    assert [shares[0], *shares[2:]] == [0, 0, 0, 0]


def share_below_half(view: Tensor) -> float:
    return (view.amax(dim=(1, 2, 3)) < 0.5).float().mean().item()


@pytest.mark.parametrize("scale", [(40, 100), (0, 1), (0.4, 0.2), (-0.5, 0.5), (0.5, float("nan")), (0.2, 1.01)])
def test_scales_that_are_no_shares_are_refused(scale: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="scale"):
        random_boxes(2, (8, 8), scale, torch.Generator())
