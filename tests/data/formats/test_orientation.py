"""Slices are cut where the scanner cut them, and shown the same way up however the file stores its axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from nibabel import aff2axcodes, orientations

from dainet.data.formats.orientation import display_turn, slice_axis, view_codes
from dainet.data.volume import DataError
from tests.helpers.formats import short_axis

HEART, EDGES = (64, 60, 11), (1.4, 1.4, 8.0)  # [X, Y, Z] and mm
DIRECTIONS = dict(zip("RASLPI", [*np.eye(3), *-np.eye(3)], strict=True))  # to the right, front and top


def stored_otherwise() -> list[np.ndarray]:
    """Return every order and direction in which a file can store the three axes."""
    orders = itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
    return [np.column_stack([order, signs]) for order, signs in orders]


def as_file(array: np.ndarray, affine: np.ndarray, how: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Store voxels [X, Y, Z] with other axes, at the same places in the patient."""
    return orientations.apply_orientation(array, how), affine @ orientations.inv_ornt_aff(how, array.shape)


def cut(array: np.ndarray, affine: np.ndarray, asked: str = "auto") -> np.ndarray:
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    turn = display_turn(affine, slice_axis(array.shape, edges.tolist(), affine, asked))
    return orientations.apply_orientation(array, turn).T


@pytest.mark.parametrize(
    ("along", "turned"),
    [
        ((-0.6, 0.5, -0.6), 0),
        ((-0.6, 0.5, -0.6), 72),
        ((0.1, -0.7, 0.7), 20),
        ((0, 1, 1), 0),  # halfway between axial and coronal
        ((0, -1, 1), 45),
        ((np.cos(np.pi / 6), 0, 0.5), 0),  # 30 degrees from sagittal
        ((1, 0, 0), 45),
        ((0, 0, 1), 45),
    ],
)
def test_a_volume_looks_the_same_however_its_axes_are_stored(along: tuple[float, float, float], turned: float) -> None:
    voxels, affine = np.random.default_rng(0).random(HEART), short_axis(along, turned)
    shown = cut(voxels, affine)
    assert shown.shape in {(11, 60, 64), (11, 64, 60)}
    for how in stored_otherwise():
        np.testing.assert_array_equal(cut(*as_file(voxels, affine, how)), shown)


@pytest.mark.parametrize("how", stored_otherwise()[::7])
def test_the_inverse_brings_labels_back(how: np.ndarray) -> None:
    voxels, affine = as_file(np.random.default_rng(0).random(HEART), short_axis(), how)
    turn = display_turn(affine, slice_axis(voxels.shape, (1, 1, 1), affine))
    volume = orientations.apply_orientation(voxels, turn).T
    back = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), turn)
    np.testing.assert_array_equal(orientations.apply_orientation(volume.T, back), voxels)


@pytest.mark.parametrize(("axis", "view"), [("S", "LPS"), ("P", "LIP"), ("R", "PIR")])
@pytest.mark.parametrize("stored", ["RAS", "LPS", "PIR", "ASL", "ILP"])
def test_straight_volumes_are_shown_as_radiologists_do(axis: str, view: str, stored: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([DIRECTIONS[code] for code in stored])
    place = next(i for i, code in enumerate(stored) if code in axis + {"S": "I", "P": "A", "R": "L"}[axis])
    assert "".join(aff2axcodes(affine)) == stored
    turn = display_turn(affine, place)
    turned = affine @ orientations.inv_ornt_aff(turn, (5, 6, 7))
    assert "".join(aff2axcodes(turned)) == view_codes(affine, place) == view


def test_no_volume_is_mirrored() -> None:
    for along in np.random.default_rng(1).normal(size=(200, 3)):
        turned = short_axis(along) @ orientations.inv_ornt_aff(display_turn(short_axis(along), 2), HEART)
        assert np.linalg.det(turned[:3, :3]) > 0


def test_hearts_a_few_degrees_apart_are_shown_the_same_way_up() -> None:
    """The angles of a left ventricle differ by some 30 degrees among patients; the nearest body axis changes."""
    nearest, turns, views = set(), set(), set()
    for left, front, down in itertools.product((0.45, 0.6, 0.75), (0.4, 0.55, 0.7), (0.3, 0.5, 0.7)):
        affine = short_axis((-left, front, -down), turned=70)
        nearest.add(aff2axcodes(affine))
        turns.add(display_turn(affine, 2).tobytes())
        views.add(view_codes(affine, 2))
    assert len(nearest) > 2
    assert views == {"LPS", "LIP"}
    assert len(turns) == 1


def test_a_real_heart_becomes_slices_along_its_short_axis() -> None:
    """256 x 256 x 11 voxels; the axis nearest to the head is an in-plane one, as in real oblique files."""
    affine = short_axis((-0.7, 0.6, -0.4))
    assert slice_axis((256, 256, 11), EDGES, affine, "superior") != 2
    assert slice_axis((256, 256, 11), EDGES, affine) == 2
    assert cut(np.zeros((256, 256, 19)), affine).shape == (19, 256, 256)


@pytest.mark.parametrize(
    ("shape", "edges", "axis"),
    [
        ((512, 512, 600), (0.7, 0.7, 1.05), 2),  # by thickness alone, at the limit
        ((150, 100, 150), (1, 1, 1), 1),  # by number alone, at the limit
        ((20, 256, 256), (0.8, 1.4, 1.4), 0),  # a few thin slices
        ((256, 20, 256), (1.4, 8, 1.4), 1),  # both
    ],
)
def test_thicker_or_fewer_decides(shape: tuple[int, ...], edges: tuple[float, ...], axis: int) -> None:
    assert slice_axis(shape, edges, np.eye(4)) == axis


@pytest.mark.parametrize(
    ("shape", "edges", "facts"),
    [
        ((35, 51, 35), (1, 1, 1), ["x 35 x 1 mm", "y 51 x 1 mm", "z 35 x 1 mm"]),
        ((512, 512, 600), (0.7, 0.7, 1.04), ["x 512 x 0.7 mm", "z 600 x 1.04 mm"]),
        ((151, 101, 151), (1, 1, 1), ["y 101 x 1 mm"]),
        ((20, 200, 200), (1, 1, 3), ["x 20 x 1 mm", "z 200 x 3 mm", "longest along z", "fewest along x"]),
        ((20, 20, 200), (3, 3, 1), ["x 20 x 3 mm", "y 20 x 3 mm"]),
    ],
)
def test_what_is_unclear_is_asked(shape: tuple[int, ...], edges: tuple[float, ...], facts: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        slice_axis(shape, edges, np.eye(4), what="heart07")
    for fact in ["heart07", "data.slice_axis", "--slice-axis", "superior", *facts]:
        assert fact in str(caught.value)
    assert [slice_axis(shape, edges, np.eye(4), asked) for asked in ("x", "y", "z", "superior")] == [0, 1, 2, 2]
