import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from dainet.segmentation.augment import augment, random_transforms, transform


def rotation(degrees: int) -> torch.Tensor:
    angle = math.radians(degrees)
    return torch.tensor([[[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]])


@pytest.mark.parametrize("size", [8, 15, 96])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_exact(size: int, turns: int) -> None:
    image = torch.rand(1, 1, size, size)
    expected = [torch.rot90(image, sign * turns, (2, 3)) for sign in (1, -1)]
    found = transform(image, rotation(90 * turns))
    assert any(torch.equal(found, candidate) for candidate in expected)


def test_every_flip_and_turn_of_the_peers_occurs_and_nothing_else() -> None:
    """Half of the draws: rot90 k in 0..3, then always a flip (TransUNet dataset_synapse.py:11-18)."""
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    flipped = {
        tuple(np.flip(np.rot90(image[0, 0], turns), axis).ravel()) for turns in range(4) for axis in (0, 1)
    }  # 4 distinct pictures: a quarter turn and a flip are interchangeable
    matrices = random_transforms(400, torch.Generator().manual_seed(0))
    results = [tuple(transform(image, matrix[None]).flatten().tolist()) for matrix in matrices]
    determinant = torch.linalg.det(matrices)
    assert {result for result, det in zip(results, determinant, strict=True) if det < 0} == flipped
    assert 0.4 < (determinant < 0).float().mean() < 0.6
    unchanged = (matrices == torch.eye(2)).all(dim=(1, 2)).float().mean()
    assert 0.2 < unchanged < 0.31  # a quarter of the draws, and the rotations by 0 degrees


def test_rotations_are_the_whole_degrees_that_the_peers_draw_and_as_often() -> None:
    """A quarter of the draws: angle = np.random.randint(-20, 20) (TransUNet dataset_synapse.py:21-25)."""
    matrices = random_transforms(8000, torch.Generator().manual_seed(0))
    rotations = matrices[(torch.linalg.det(matrices) > 0) & ~(matrices == torch.eye(2)).all(dim=(1, 2))]
    degrees = torch.rad2deg(torch.atan2(rotations[:, 1, 0], rotations[:, 0, 0]))
    torch.testing.assert_close(degrees, degrees.round(), atol=1e-3, rtol=0)
    assert set(degrees.round().int().tolist()) == set(range(-20, 20)) - {0}
    assert 0.22 < len(rotations) / 8000 < 0.27


def test_rotation_agrees_with_scipy_inside() -> None:
    image = np.kron(np.eye(4), np.ones((8, 8)))  # blocks, so that half a pixel does not matter in most places
    found = transform(torch.tensor(image)[None, None], rotation(15)).numpy()[0, 0]
    agreement = [(found == ndimage.rotate(image, angle, order=0, reshape=False)).mean() for angle in (15, -15)]
    assert max(agreement) > 0.97
    assert found[0, -1] == 0


def test_image_label_and_maps_move_together() -> None:
    base = torch.randint(0, 4, (16, 1, 12, 12), dtype=torch.uint8)
    image, label, maps = augment(
        [base.float(), base, base.float().expand(-1, 6, -1, -1)],
        random_transforms(16, torch.Generator().manual_seed(1)),
    )
    assert label.dtype == torch.uint8
    assert torch.equal(image, label.float())
    assert torch.equal(maps, image.expand(-1, 6, -1, -1))
    assert not torch.equal(label, base)


def test_the_same_generator_gives_the_same_batch() -> None:
    image = torch.rand(8, 1, 16, 16)
    first, second, third = (
        augment([image], random_transforms(8, torch.Generator().manual_seed(s)))[0] for s in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
