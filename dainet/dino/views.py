"""Random views of whole batches on the device: DINO's multi-crop for gray slices.

Why not a library: torchvision's transforms and the authors' PIL code draw one set of parameters per call, so a batch
needs a Python loop. kornia 0.9 draws per image and is as fast, but takes no generator, shrinks without antialiasing
(unlike PIL and torchvision), and its `ColorJitter` refuses one channel. Cropping, flipping, resizing and blurring are
separable, so here each is two small matrices per image, rows @ image @ columns^T, and equals torchvision's result.

Saturation, hue and the random conversion to gray are left out, because they do not change a gray image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dainet.errors import InputError
from dainet.settings import DinoSettings

__all__ = ["adjust", "blur", "draw_views", "make_views", "multi_crop", "random_boxes", "resized_crop", "solarize"]

_ASPECT = (3 / 4, 4 / 3)  # torchvision's RandomResizedCrop
_ATTEMPTS = 10  # of the same, before it takes a central box
_JITTER = 0.4  # brightness and contrast factors lie in 1 +- this
_SIGMA_PX = (0.1, 2.0)
_NO_BLUR_PX = 0.01  # a Gaussian so narrow that its matrix is the identity to the last bit


def multi_crop(images: Tensor, settings: DinoSettings, generator: torch.Generator) -> list[Tensor]:
    """Draw two global and `settings.local_crops` local views of every image, each with its own random numbers.

    Source: DINO's `DataAugmentationDINO` (main_dino.py:419-464), crop sizes from `settings` (docs/protocol.md#5.15).

    Args:
        images: [B, 1, H, W] in about [0, 1], on any device; overshoot is clipped, as in the authors' 8-bit images.
        settings: sizes, scales and number of the crops.
        generator: on the CPU, so that every device sees the same views.

    Returns:
        Views [B, 1, size, size] float32 in [0, 1], the two global ones first.
    """
    return make_views(images, draw_views(images.shape, settings, generator).to(images.device), settings)


def draw_views(shape: torch.Size, settings: DinoSettings, generator: torch.Generator) -> Tensor:
    """Draw the numbers [views, 9, B] from which `make_views` makes the views of a batch of the shape [B, 1, H, W]."""
    wide, narrow = settings.global_scale, settings.local_scale
    kinds = [(wide, 1.0, 0.0), (wide, 0.1, 0.2), *[(narrow, 0.5, 0.0)] * settings.local_crops]
    return torch.stack([_draw(shape, *kind, generator) for kind in kinds])


def make_views(images: Tensor, numbers: Tensor, settings: DinoSettings) -> list[Tensor]:
    """Make the views of images [B, 1, H, W] from numbers [views, 9, B] on the same device; nothing is random here."""
    sizes = [settings.global_size] * 2 + [settings.local_size] * settings.local_crops
    return [_view(images, line, size) for line, size in zip(numbers, sizes, strict=True)]


def random_boxes(
    batch: int, shape: tuple[int, int], scale: tuple[float, float], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw crop boxes by the rule of torchvision's RandomResizedCrop.get_params, for a whole batch at once.

    Args:
        batch: number of images, B.
        shape: height and width of the images in px.
        scale: smallest and largest share of the image's area.
        generator: on the CPU.

    Returns:
        Top, left, height, width, each [B], whole numbers in px; where none of ten attempts fits, the largest central
        box of an allowed aspect ratio.

    Raises:
        InputError: the shares are not above 0, at most 1 and in order.
    """
    if not 0 < scale[0] <= scale[1] <= 1:
        raise InputError(f"scale: found {scale}; expected two shares of the area, above 0, at most 1, the lower first")
    height, width = shape
    area = height * width * _uniform(*scale, (batch, _ATTEMPTS), generator)
    ratio = _uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1]), (batch, _ATTEMPTS), generator).exp()
    heights, widths = (area / ratio).sqrt().round(), (area * ratio).sqrt().round()
    fits = (heights >= 1) & (heights <= height) & (widths >= 1) & (widths <= width)
    first, found = fits.int().argmax(dim=1, keepdim=True), fits.any(dim=1)
    h = torch.where(found, heights.gather(1, first)[:, 0], min(height, round(width * _ASPECT[1])))
    w = torch.where(found, widths.gather(1, first)[:, 0], min(width, round(height * _ASPECT[1])))
    place = torch.where(found, _uniform(0, 1, (2, batch), generator), 0.5)  # [2, B]
    return (place[0] * (height - h + 1)).floor(), (place[1] * (width - w + 1)).floor(), h, w


def resized_crop(images: Tensor, boxes: tuple[Tensor, Tensor, Tensor, Tensor], flip: Tensor, size: int) -> Tensor:
    """Cut one box per image, resize it to `size` px and mirror it left to right where `flip` is true.

    The resize is bicubic with antialiasing and equals torchvision's `resized_crop(..., BICUBIC, antialias=True)` and
    PIL's filter.

    Args:
        images: [B, 1, H, W].
        boxes: top, left, height, width, each [B], in px.
        flip: [B], bool.
        size: side of the result in px.
    """
    top, left, height, width = boxes
    rows = _resize_matrix(top, height, size, images.shape[2])  # [B, size, H]
    columns = _resize_matrix(left, width, size, images.shape[3])  # [B, size, W]
    columns = torch.where(flip[:, None, None], columns.flip(1), columns)
    return _sandwich(rows, images, columns)


def adjust(images: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Scale the brightness, then the contrast about each image's mean, clipping to [0, 1] after each.

    torchvision's ColorJitter draws the order of the two each time. They commute but for the clipping, so the order is
    fixed here.

    Args:
        images: [B, 1, H, W] in [0, 1].
        brightness: factors [B], 1 = unchanged.
        contrast: factors [B], 1 = unchanged.
    """
    bright = (images * _per_image(brightness)).clamp(0, 1)
    mean = bright.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + _per_image(contrast) * (bright - mean)).clamp(0, 1)


def blur(images: Tensor, sigma_px: Tensor) -> Tensor:
    """Blur images [B, 1, H, W] with a Gaussian of standard deviation [B] in px; weights sum to 1 everywhere."""
    height, width = images.shape[2:]
    return _sandwich(_blur_matrix(sigma_px, height), images, _blur_matrix(sigma_px, width))


def solarize(images: Tensor, chosen: Tensor) -> Tensor:
    """Invert values of at least 0.5 in those images [B, 1, H, W], in [0, 1], for which `chosen` [B] is true."""
    return torch.where(_per_image(chosen) & (images >= 0.5), 1 - images, images)


def _draw(
    shape: torch.Size, scale: tuple[float, float], blur_p: float, solarize_p: float, generator: torch.Generator
) -> Tensor:
    """Draw the numbers [9, B] of one view of each image of a batch [B, 1, H, W], in the order of `_view`."""
    batch = shape[0]

    def chance(probability: float) -> Tensor:
        return torch.rand(batch, generator=generator) < probability

    boxes = random_boxes(batch, (shape[2], shape[3]), scale, generator)
    flip = chance(0.5)
    factors = torch.where(chance(0.8), _uniform(1 - _JITTER, 1 + _JITTER, (2, batch), generator), 1.0)
    sigma = torch.where(chance(blur_p), _uniform(*_SIGMA_PX, (batch,), generator), _NO_BLUR_PX)
    return torch.stack([*boxes, flip.float(), *factors, sigma, chance(solarize_p).float()])


def _view(images: Tensor, numbers: Tensor, size: int) -> Tensor:
    top, left, height, width, flip, brightness, contrast, sigma_px, inverted = numbers
    view = resized_crop(images, (top, left, height, width), flip > 0, size).clamp(0, 1)
    return solarize(blur(adjust(view, brightness, contrast), sigma_px), inverted > 0)


def _resize_matrix(start: Tensor, length: Tensor, size: int, extent: int) -> Tensor:
    """Weights [B, size, extent] that resample `length` px from `start` to `size`; the filter widens when shrinking."""
    step = length / size  # [B], input px per output px
    center = start[:, None] + (torch.arange(size, device=start.device) + 0.5) * step[:, None]  # [B, size]
    pixel = torch.arange(extent, device=start.device) + 0.5
    distance = (pixel - center[..., None]).abs() / step.clamp(min=1)[:, None, None]  # [B, size, extent]
    inside = (pixel > start[:, None]) & (pixel < (start + length)[:, None])  # [B, extent]
    weights = _cubic(distance) * inside[:, None]
    return weights / weights.sum(dim=-1, keepdim=True)


def _cubic(x: Tensor) -> Tensor:
    """Keys' bicubic kernel with a = -0.5, as in PIL's and torchvision's antialiased resize; x >= 0."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _blur_matrix(sigma_px: Tensor, extent: int) -> Tensor:
    position = torch.arange(extent, device=sigma_px.device, dtype=torch.float32)
    square = (position[:, None] - position) ** 2  # [extent, extent]
    return torch.softmax(-square / (2 * sigma_px[:, None, None] ** 2), dim=-1)


def _sandwich(rows: Tensor, images: Tensor, columns: Tensor) -> Tensor:
    return (rows @ images[:, 0].float() @ columns.mT)[:, None]  # [B, 1, rows, columns]


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)
