"""The sheet and the record of a label map name the slices of the file, however it stores them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from nibabel.orientations import apply_orientation, inv_ornt_aff
from PIL import Image

from dainet.device import choose_device
from dainet.inference import label_maps
from dainet.inference.bundle import Bundle, read_bundle
from dainet.inference.label_maps import predict_files
from tests.helpers.scans import save_nifti_scan

CPU = choose_device("cpu")
DEPTH = 14  # more slices than a sheet has pictures


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle("tour", CPU)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Note what a sheet gets."""
    noted: dict[str, Any] = {}

    def montage(images: np.ndarray, labels: np.ndarray, names: Any, colors: Any, titles: Any, columns: int) -> Figure:
        noted.update(images=images, titles=titles)
        return Figure((1, 1))

    monkeypatch.setattr(label_maps, "slice_montage", montage)
    return noted


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_slice_of_the_sheet_has_its_number_in_the_file(
    axis: int, sign: int, bundle: Bundle, shown: dict[str, Any], tmp_path: Path
) -> None:
    """Slices are told by their gray values: those of number n are 1000 n and a little more."""
    order = np.array([[2, 1], [1, 1], [0, sign]] if axis == 0 else [[0, 1], [1, 1], [2, sign]])
    upright = np.random.default_rng(0).integers(0, 900, (40, 36, DEPTH)).astype(np.int16)
    stored = apply_orientation(upright, order)
    along = [1, 1, 1]
    along[axis] = DEPTH
    stored = stored + 1000 * np.arange(DEPTH, dtype=np.int16).reshape(along)
    affine = np.diag([1.5, 1.5, 10, 1.0]) @ inv_ornt_aff(order, upright.shape)
    save_nifti_scan(tmp_path / "heart.nii.gz", stored, affine)
    assert predict_files([tmp_path / "heart.nii.gz"], bundle, "tour", CPU, tmp_path, anyway=True) == []
    numbers = [int(image.min()) // 1000 for image in shown["images"]]
    assert shown["titles"] == [f"{'xyz'[axis]} = {number}" for number in numbers]
    assert set(numbers) > {0, DEPTH - 1}
    assert (np.diff(numbers) * sign > 0).all(), "from the feet to the head"
    assert len(numbers) == 12
    about = json.loads((tmp_path / "heart_labels.json").read_text())
    assert (about["scan"], about["slices_along"]) == ("heart.nii.gz", "xyz"[axis])


def test_a_picture_is_named_and_has_pixels_in_place_of_milliliters(
    bundle: Bundle, shown: dict[str, Any], tmp_path: Path
) -> None:
    picture, folder = tmp_path / "slice 1.png", tmp_path / "new" / "folder"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(picture)
    assert predict_files([picture], bundle, "tour", CPU, folder) == []
    assert shown["titles"] == ["slice 1"]
    labels = json.loads((folder / "slice 1_labels.json").read_text())["labels"]
    drawn = np.asarray(Image.open(folder / "slice 1_labels.png"))
    assert {number: label["voxels"] for number, label in labels.items() if number != "0"} == {
        str(number): int((drawn == number).sum()) for number in (1, 2, 3)
    }
    assert not any("ml" in label for label in labels.values())


def test_a_chinese_name_is_in_the_files_and_gives_no_warning(
    bundle: Bundle, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "心脏.png")
    assert predict_files([tmp_path / "心脏.png"], bundle, "tour", CPU, tmp_path / "out") == []
    assert json.loads((tmp_path / "out" / "心脏_labels.json").read_text(encoding="utf-8"))["scan"] == "心脏.png"
    assert (tmp_path / "out" / "心脏_sheet.png").is_file()
    assert [str(each.message) for each in recwarn if "Glyph" in str(each.message)] == []
