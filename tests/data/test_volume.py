"""Checks of one volume by hand, and the slice to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dainet.data.volume import Case, DataError, Volume, check_claim, checked, fullest_slice

CASE = Case("patient001", "ED", (Path("image.nii"), Path("label.nii")))
IMAGE = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def label_of(*planes: list[int]) -> np.ndarray:
    """Slices of [1, 4] pixels."""
    return np.array(planes)[:, None]


@pytest.mark.parametrize(
    ("planes", "fullest"),
    [
        (([0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]), 1),
        (([1, 1, 1, 1], [0, 0, 1, 2]), 1),
        (([0, 0, 1, 1], [1, 1, 1, 1]), 1),
        (([0, 0, 0, 5], [0, 0, 0, 2]), 0),
        (([0, 0, 0, 0], [0, 0, 0, 0]), 0),
        (([0, 0, 0, 0], [0, 0, 0, 3], [0, 0, 1, 2], [1, 2, 1, 2]), 3),
    ],
)
def test_the_fullest_slice_has_most_classes_then_most_foreground(planes: tuple[list[int], ...], fullest: int) -> None:
    assert fullest_slice(label_of(*planes)) == fullest


def test_labels_are_mapped_and_the_image_is_float32() -> None:
    label = np.zeros((2, 3, 4), np.float64)
    label[0, 0, :3] = 205, 255, 85
    found = checked(CASE, Volume(IMAGE, label, (10.0, 1.4, 1.5), "LAS"), {0: 0, 85: 3, 205: 1, 255: 2})
    assert (found.image.dtype, found.label.dtype) == (np.float32, np.uint8)
    assert found.label[0, 0].tolist() == [1, 2, 3, 0]
    assert np.count_nonzero(found.label) == 3
    assert np.array_equal(found.image, IMAGE)
    assert (found.spacing_mm, found.orientation) == ((10.0, 1.4, 1.5), "LAS")


@pytest.mark.parametrize(
    ("value", "named"),
    [(255, "255"), (4, "0, 4"), (256, "0 to 256"), (-1, "-1 to 0"), (0.5, "0.5")],
)
def test_labels_outside_the_map_are_named(value: float, named: str) -> None:
    label = np.zeros((2, 3, 4), np.float64)
    label[1, 2, 3] = value
    with pytest.raises(DataError, match=named) as refused:
        checked(CASE, Volume(IMAGE, label), {0: 0, 1: 1, 2: 2, 3: 3})
    assert "patient001_ED (image.nii and label.nii)" in str(refused.value)


@pytest.mark.parametrize(("found", "expected"), [({0: 0, 1: 1}, "0 to 1"), ({0: 0, 85: 1, 40: 2}, "0, 40, 85")])
def test_the_labels_that_a_format_expects_are_listed(found: dict[int, int], expected: str) -> None:
    with pytest.raises(DataError, match=f"expected {expected};"):
        checked(CASE, Volume(IMAGE, np.full((2, 3, 4), 7)), found)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", "float32"])
def test_every_type_of_number_is_taken(kind: str) -> None:
    label = np.zeros((2, 3, 4), kind)
    label[0, 0, 0] = 1
    assert checked(CASE, Volume(IMAGE.astype(np.float64), label), {0: 0, 1: 1}).label.sum() == 1
    for image, other in ((IMAGE.astype(complex), label), (IMAGE, label.astype(complex))):
        with pytest.raises(DataError, match="numbers"):
            checked(CASE, Volume(image, other), {0: 0, 1: 1})


@pytest.mark.parametrize(("claimed", "refused"), [(10_320, False), (10_321, True)])
def test_a_file_holds_at_most_1032_times_its_size(tmp_path: Path, claimed: int, refused: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(10))
    if refused:
        with pytest.raises(ValueError, match="10 bytes"):
            check_claim(path, claimed)
    else:
        check_claim(path, claimed)


def test_a_case_is_named_with_its_first_and_last_file() -> None:
    slices = tuple(Path(f"slice{number}.npz") for number in range(4))
    assert str(Case("case0001", "", slices)) == "case0001 (slice0.npz to slice3.npz)"
    assert str(Case("case0001", "", slices[:1])) == "case0001 (slice0.npz)"
    assert Case("case0001", "", slices).case_id == "case0001"
