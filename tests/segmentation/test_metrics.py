import math
from typing import Any

import numpy as np
import pytest
import torch
from medpy.metric import binary
from monai.metrics import DiceMetric, compute_surface_dice
from scipy import ndimage

from dainet.errors import InputError
from dainet.segmentation.metrics import dice, hd95, score_volume, surface_dice


def sphere(center: tuple[int, int, int], radius: int = 6, shape: tuple[int, int, int] = (20, 40, 40)) -> np.ndarray:
    grid = np.indices(shape)
    return ((grid - np.array(center).reshape(3, 1, 1, 1)) ** 2).sum(0) <= radius**2


def by_class(records: list[dict[str, Any]], policy: str) -> dict[str, Any]:
    return next(record for record in records if record["policy"] == policy)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spacing", [None, (10.0, 1.4, 1.6)])
def test_cropped_hd95_is_medpys_to_the_last_bit(seed: int, spacing: tuple[float, float, float] | None) -> None:
    random = np.random.default_rng(seed)
    a, b = random.random((2, 9, 30, 28)) > 0.97
    a[0, 0, 0] = b[-1, -1, -1] = True  # surfaces that touch the border
    assert hd95(a, b, spacing) == binary.hd95(a, b, voxelspacing=spacing)
    assert dice(a, b) == pytest.approx(binary.dc(a, b), abs=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_dice_against_monai(seed: int) -> None:
    a, b = np.random.default_rng(seed).random((2, 6, 10, 10)) > 0.5
    found: Any = DiceMetric()(torch.tensor(a)[None, None].float(), torch.tensor(b)[None, None].float())
    assert dice(a, b) == pytest.approx(found.item(), abs=1e-6)


def test_shifted_spheres_stay_within_their_shift() -> None:
    a, b = sphere((10, 20, 16)), sphere((10, 20, 19))
    assert hd95(a, a) == 0
    assert 2 <= hd95(a, b) <= 3  # no surface point is farther than the shift of 3 voxels along x
    assert 4 <= hd95(a, b, (1, 1, 2)) <= 6


@pytest.mark.parametrize("spacing", [(10.0, 1.4, 0.7), (2.0, 3.0, 5.0)])
def test_spheres_in_a_large_volume_are_scored_as_medpy_scores_the_whole(spacing: tuple[float, float, float]) -> None:
    label, prediction = sphere((9, 14, 20)), sphere((11, 19, 13), radius=5)
    found = by_class(score_volume(prediction.astype(np.uint8), label.astype(np.uint8), ["organ"], spacing), "strict")
    assert found["dsc"] == pytest.approx(binary.dc(prediction, label), abs=1e-15)
    assert found["hd95_vox"] == binary.hd95(prediction, label)
    assert found["hd95_mm"] == binary.hd95(prediction, label, spacing)
    assert found["assd_mm"] == binary.assd(prediction, label, spacing)
    assert (found["predicted_voxels"], found["labeled_voxels"]) == (prediction.sum(), label.sum())


def test_spacing_stretches_the_slice_direction() -> None:
    a, b = np.zeros((2, 5, 8, 8), bool)
    a[1, 2:6, 2:6] = b[3, 2:6, 2:6] = True  # the same square two slices apart: every distance is that
    assert hd95(a, b) == 2
    assert hd95(a, b, (10, 1, 1)) == 20


@pytest.mark.parametrize(
    ("prediction", "label", "strict", "peer"),
    [  # (dsc, hd95_vox); the diagonal of 4 x 5 x 5 voxels is sqrt(9 + 16 + 16)
        (0, 0, (math.nan, math.nan), (0.0, 0.0)),
        (1, 0, (0.0, math.sqrt(41)), (1.0, 0.0)),
        (0, 1, (0.0, math.sqrt(41)), (0.0, 0.0)),
        (1, 1, (1.0, 0.0), (1.0, 0.0)),
    ],
)
def test_empty_masks_under_both_policies(
    prediction: int, label: int, strict: tuple[float, float], peer: tuple[float, float]
) -> None:
    volume = np.zeros((2, 4, 5, 5), np.uint8)
    volume[0, 1:3, 2:4, 2:4], volume[1, 1:3, 2:4, 2:4] = prediction, label
    records = score_volume(volume[0], volume[1], ["organ"], None)
    for policy, expected in (("strict", strict), ("peer", peer)):
        found = by_class(records, policy)
        np.testing.assert_allclose((found["dsc"], found["hd95_vox"]), expected)
        assert math.isnan(found["hd95_mm"])
        assert math.isnan(found["assd_mm"])
        assert (found["predicted_voxels"], found["labeled_voxels"]) == (8 * prediction, 8 * label)


def test_a_missed_organ_is_penalized_in_millimeters_too() -> None:
    label = np.ones((3, 4, 4), np.uint8)
    found = by_class(score_volume(np.zeros_like(label), label, ["organ"], (10, 2, 2)), "strict")
    assert found["hd95_mm"] == found["assd_mm"] == pytest.approx(math.sqrt(20**2 + 6**2 + 6**2))


def test_two_squares_two_slices_apart_are_that_far_in_millimeters() -> None:
    label, prediction = np.zeros((2, 5, 8, 8), np.uint8)
    label[1, 2:6, 2:6] = prediction[3, 2:6, 2:6] = 1
    found = by_class(score_volume(prediction, label, ["organ"], (10, 1, 1)), "strict")
    assert (found["hd95_vox"], found["hd95_mm"], found["assd_mm"]) == (2, 20, 20)


def test_hd95_of_an_empty_mask_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        hd95(np.zeros((2, 2, 2), bool), np.ones((2, 2, 2), bool))


MASK = sphere((3, 8, 8), 3, (6, 16, 16))
NOT_TWO_MASKS = {
    "a slice against a volume": (MASK[3], MASK),
    "a slice and its transpose": (MASK[:, :, 3], MASK[:, :, 3].T),
    "numbers": (MASK.astype(np.uint8), MASK),
    "labels of another value": (3 * MASK.astype(int), 3 * MASK.astype(int)),
    "probabilities": (MASK, MASK * 0.7),
    "tensors": (torch.tensor(MASK), torch.tensor(MASK)),
}


@pytest.mark.parametrize("measure", [dice, hd95, surface_dice])
@pytest.mark.parametrize(("first", "second"), NOT_TWO_MASKS.values(), ids=NOT_TWO_MASKS)
def test_what_is_not_two_masks_of_one_shape_is_refused(measure: Any, first: Any, second: Any) -> None:
    with pytest.raises(InputError, match="bool"):
        measure(first, second, *([(1, 1, 1)] if measure is surface_dice else []))


@pytest.mark.parametrize("predicted", [MASK.astype(int), np.zeros(MASK.shape, int)], ids=["found", "missed"])
def test_a_spacing_may_be_an_array(predicted: np.ndarray) -> None:
    label, array = np.roll(MASK, 1, axis=2).astype(int), np.array([8.0, 1.5, 1.4])
    spacings: list[Any] = [tuple(array), array]
    expected, found = (score_volume(predicted, label, ["organ"], spacing) for spacing in spacings)
    assert found == expected


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 1, 1), (0, 1, 1), (1, -1, 1), (1, 1, math.nan), (math.inf, 1, 1)])
def test_a_spacing_that_cannot_be_is_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="3 edges above 0"):
        hd95(MASK, MASK, spacing)
    with pytest.raises(InputError, match="3 edges above 0"):
        surface_dice(MASK, MASK, spacing)
    with pytest.raises(InputError, match="3 edges above 0"):
        score_volume(MASK.astype(int), MASK.astype(int), ["organ"], spacing)


@pytest.mark.parametrize(
    ("prediction", "label", "words"),
    [
        (MASK[3].astype(int), MASK.astype(int), r"\(16, 16\).*\(6, 16, 16\)"),
        (MASK[3].astype(int), MASK[3].astype(int), "slices"),
        (MASK, MASK, "bool"),
        (MASK * 0.5, MASK.astype(int), "float64"),
        (MASK.astype(int), 2 * MASK.astype(int), "0 to 2.*0 to 1"),
        (-MASK.astype(int), MASK.astype(int), "-1 to 0.*0 to 1"),
        (np.zeros((0, 4, 4), int), np.zeros((0, 4, 4), int), r"\(0, 4, 4\)"),
    ],
)
def test_volumes_that_cannot_be_scored_are_refused(prediction: np.ndarray, label: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        score_volume(prediction, label, ["organ"], None)


@pytest.mark.parametrize("spacing", [None, (5.0, 0.8, 0.7)])
def test_every_class_of_a_volume_is_scored_as_medpy_scores_it_alone(spacing: tuple[float, float, float] | None) -> None:
    random = np.random.default_rng(0)
    label, prediction = random.choice(4, (2, 7, 24, 20), p=[0.94, 0.02, 0.02, 0.02]).astype(np.uint8)
    for record in score_volume(prediction, label, ["one", "two", "three"], spacing):
        masks = [volume == ["one", "two", "three"].index(record["class"]) + 1 for volume in (prediction, label)]
        assert record["dsc"] == pytest.approx(binary.dc(*masks), abs=1e-15)
        assert record["hd95_vox"] == binary.hd95(*masks)
        assert (record["predicted_voxels"], record["labeled_voxels"]) == tuple(mask.sum() for mask in masks)
        if spacing is None:
            assert math.isnan(record["hd95_mm"])
            assert math.isnan(record["assd_mm"])
            assert math.isnan(record["surface_dice_2mm"])
        else:
            assert record["surface_dice_2mm"] == surface_dice(masks[0], masks[1], spacing)
            assert record["hd95_mm"] == binary.hd95(*masks, spacing)
            assert record["assd_mm"] == binary.assd(*masks, spacing)


def test_surface_dice_is_that_of_monai_within_a_slice() -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        first, second = (
            ndimage.binary_opening(ndimage.gaussian_filter(random.random((40, 50)), 3) > 0.5) for _ in range(2)
        )
        one_hot = (torch.tensor(mask)[None, None] for mask in (first, second))  # [B, C, H, W]
        expected = compute_surface_dice(next(one_hot), next(one_hot), [2.0], True, spacing=(1.5, 1.2)).item()
        assert surface_dice(first[None], second[None], (10.0, 1.5, 1.2)) == pytest.approx(expected)


def test_surface_dice_by_hand() -> None:
    """Squares of 4 x 4 pixels, 12 of them on the outline: shifted by 2 mm all is near, by 3 mm not the far columns."""
    label = np.zeros((2, 12, 12), bool)
    label[0, 2:6, 2:6] = True
    for shift, share in ((0, 1.0), (2, 1.0), (3, None), (6, 0.0)):
        moved = np.roll(label, shift, axis=2)
        if share is not None:
            assert surface_dice(moved, label, (1, 1, 1)) == share
    # 3 mm: of each square the four pixels of the far column are 3 mm away from the other, two of the rows' ends 2 mm.
    assert surface_dice(np.roll(label, 3, axis=2), label, (1, 1, 1)) == pytest.approx(1 - 8 / 24)
    assert surface_dice(np.roll(label, 1, axis=0), label, (0.1, 1, 1)) == 0.0, "the next slice is another place"
    assert surface_dice(np.zeros_like(label), label, (1, 1, 1)) == 0.0
    assert math.isnan(surface_dice(np.zeros_like(label), np.zeros_like(label), (1, 1, 1)))
