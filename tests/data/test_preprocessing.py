"""Resizing by matrices compared with scipy's zoom, slice by slice."""

import numpy as np
import pytest
from scipy import ndimage

from dainet.data.preprocessing import normalize, resize_slices

# 512 -> 224, 224 -> 96, 256 -> 32 and 32 -> 16 are sizes at which scipy puts the last pixel outside.
SIZES = [
    ((512, 512), 224),
    ((224, 180), 96),
    ((256, 216), 32),
    ((32, 30), 16),
    ((17, 5), 64),
    ((96, 96), 96),
    ((9, 2), 7),
]


def by_scipy(volume: np.ndarray, size: int, order: int) -> np.ndarray:
    factors = [size / side for side in volume.shape[1:]]
    return np.stack([ndimage.zoom(image, factors, order=order) for image in volume])


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_images_are_those_of_scipys_cubic_zoom(shape: tuple[int, int], size: int) -> None:
    volume = np.random.default_rng(0).random((2, *shape)).astype(np.float32)
    found = resize_slices(volume, (size, size), order=3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_scipy(volume, size, order=3), atol=3e-6)


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_labels_are_those_of_scipys_nearest_zoom(shape: tuple[int, int], size: int) -> None:
    volume = np.random.default_rng(1).integers(0, 14, (2, *shape)).astype(np.uint8)
    found = resize_slices(volume, (size, size), order=0)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, by_scipy(volume, size, order=0))


def test_the_shape_may_change_its_ratio() -> None:
    assert resize_slices(np.ones((3, 20, 30)), (16, 48), order=3).shape == (3, 16, 48)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_gray_values_that_are_not_finite_are_refused_everywhere(value: float) -> None:
    image = np.arange(8.0).reshape(2, 2, 2)
    image[1, 1, 1] = value
    with pytest.raises(ValueError, match=r"inf|nan"):
        normalize(image, "minmax")


@pytest.mark.parametrize("order", [0, 3])
def test_slices_of_one_pixel_stay_what_they_are(order: int) -> None:
    assert resize_slices(np.full((2, 1, 1), 7.0), (1, 1), order).tolist() == 2 * [[[7.0]]]
