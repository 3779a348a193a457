"""Attention maps of pictures and scans as files: where they lie, what they hold, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image

from dainet.attention.any_vit import attention_maps
from dainet.data.volume import DataError
from dainet.inference import attention
from dainet.inference.attention import Request, open_slices, write_attention
from dainet.inference.attention_panel import attention_panel
from dainet.vit.any_timm import AnyViT, load_any_vit
from tests.helpers.commands import command
from tests.helpers.formats import load_nifti
from tests.helpers.scans import oblique_affine, save_dicom, save_nifti_scan

VOXELS = np.random.default_rng(0).integers(0, 900, (24, 16, 4)).astype(np.int16)  # [X, Y, Z]
AFFINE = oblique_affine()


@pytest.fixture(scope="module")
def vit() -> AnyViT:
    return load_any_vit("tour")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    save_nifti_scan(tmp_path / "heart.nii.gz", VOXELS, AFFINE)
    return tmp_path / "heart.nii.gz"


def test_a_picture_in_color_gives_a_panel_and_its_maps(tmp_path: Path, vit: AnyViT) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    request = Request(block=1, token=(5, 50))
    files = write_attention(
        open_slices(tmp_path / "photo.png"), "photo", vit, request, tmp_path, only=7
    )  # not of a picture
    assert [file.name for file in files] == ["photo_attention.png", "photo_attention.npy"]
    maps = np.load(files[1])
    assert (maps.shape, maps.dtype) == ((6, 40, 60), np.float32)
    expected = attention_maps(pixels / np.float32(255), vit, block=1, token=(5, 50))
    np.testing.assert_allclose(maps, expected, atol=1e-7)
    panel = np.asarray(Image.open(files[0]))
    assert panel.std() > 10
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "photo.png",
        "photo_attention.npy",
        "photo_attention.png",
    ]


def test_maps_lie_on_their_scan_however_it_is_stored(
    tmp_path: Path, vit: AnyViT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "attention_panel", lambda *_: Figure((1, 1)))  # six would take seconds
    upright, found = nibabel.Nifti1Image(VOXELS, AFFINE), []
    for codes in ("RAS", "LPS", "SAR", "AIL", "PRS", "IRP"):
        turn = ornt_transform(io_orientation(AFFINE), axcodes2ornt(codes))
        stored: Any = upright.as_reoriented(turn)
        save_nifti_scan(tmp_path / f"{codes}.nii.gz", np.asarray(stored.dataobj), stored.affine)
        write_attention(open_slices(tmp_path / f"{codes}.nii.gz"), codes, vit, Request(), tmp_path)
        maps: Any = load_nifti(tmp_path / f"{codes}_attention.nii.gz")
        np.testing.assert_array_equal(maps.affine, load_nifti(tmp_path / f"{codes}.nii.gz").affine)
        back = maps.as_reoriented(ornt_transform(io_orientation(maps.affine), axcodes2ornt("RAS")))
        found.append(back.get_fdata())
        assert found[-1].shape == (*VOXELS.shape, 6)
        np.testing.assert_allclose(found[-1], found[0], atol=1e-6)
        assert np.load(tmp_path / f"{codes}_attention.npy").shape == (4, 6, 16, 24)
    # In a slice as it is shown, columns run to the left and rows to the back, so both run against the file.
    for z in range(VOXELS.shape[2]):
        gray = VOXELS[::-1, ::-1, z].T.astype(np.float32)
        expected = attention_maps((gray - VOXELS.min()) / np.ptp(VOXELS), vit)
        np.testing.assert_allclose(found[0][::-1, ::-1, z].transpose(2, 1, 0), expected, atol=1e-6)


def test_the_maps_of_a_scan_have_its_codes(scan: Path, vit: AnyViT) -> None:
    image = nibabel.Nifti1Image(VOXELS, AFFINE)
    image.set_sform(AFFINE, 4)
    image.set_qform(AFFINE, 2)
    image.to_filename(scan)
    write_attention(open_slices(scan), "heart", vit, Request(), scan.parent)
    header = load_nifti(scan.with_name("heart_attention.nii.gz")).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (4, 2)
    assert header.get_data_dtype() == np.float32


def test_one_slice_of_a_dicom_series(tmp_path: Path, vit: AnyViT) -> None:
    save_dicom(tmp_path / "study", VOXELS, AFFINE)
    slices = open_slices(tmp_path / "study")
    write_attention(slices, "study", vit, Request(rollout=True), tmp_path, only=1)
    volume: Any = load_nifti(tmp_path / "study_attention.nii.gz")
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-4)
    values = volume.get_fdata()
    assert values.shape == (*VOXELS.shape, 1)
    assert (values[:, :, 1] > 0).all()
    assert not values[:, :, [0, 2, 3]].any()
    maps = np.load(tmp_path / "study_attention.npy")
    np.testing.assert_allclose(maps, attention_maps(np.ascontiguousarray(slices.images[1]), vit, rollout=True))
    with pytest.raises(ValueError, match=r"study has no slice 4.*0 to 3"):
        write_attention(slices, "study", vit, Request(), tmp_path, only=4)


@pytest.mark.parametrize(("low", "modality"), [(-1000, ""), (0, "CT")])
def test_ct_is_seen_through_the_window_of_the_abdomen(low: int, modality: str, tmp_path: Path) -> None:
    voxels = np.linspace(low, 1000, VOXELS.size).reshape(VOXELS.shape).astype(np.int16)
    if modality:
        save_dicom(tmp_path / "ct", voxels, AFFINE, modality)
    else:
        save_nifti_scan(tmp_path / "ct.nii", voxels, AFFINE)
    images = open_slices(tmp_path / ("ct" if modality else "ct.nii")).images
    expected = np.clip((voxels + 125.0) / 400, 0, 1)
    np.testing.assert_allclose(np.sort(images.ravel()), np.sort(expected.ravel()), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "ends", "low", "high"), [("u1", (40, 200), 0, 255), ("u2", (999, 50_000), 999, 50_000)]
)
def test_a_picture_of_8_bits_keeps_its_gray_values_and_others_are_scaled(
    kind: str, ends: tuple[int, int], low: int, high: int, tmp_path: Path
) -> None:
    pixels = np.linspace(*ends, 35).astype(kind).reshape(5, 7)
    Image.fromarray(pixels).save(tmp_path / "slice.png")
    images = open_slices(tmp_path / "slice.png").images
    np.testing.assert_allclose(images[0], (pixels - float(low)) / (high - low), atol=1e-6)


@pytest.mark.parametrize("value", [7, (0, 90, 200), (9, 9, 9, 50)])
def test_a_picture_of_one_value_is_refused_as_a_scan_is(value: int | tuple[int, ...], tmp_path: Path) -> None:
    pixels = np.zeros((6, 5, *np.shape(value)), np.uint8) + np.asarray(value, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "blank.png")
    with pytest.raises(DataError, match=r"blank\.png.*empty"):
        open_slices(tmp_path / "blank.png")


def test_any_name_of_a_picture_is_drawn_without_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """As a formula, the middle of the name would be an error; the font has no Chinese characters."""
    name = r"心脏 $\no$ formula"
    Image.fromarray(np.arange(80, dtype=np.uint8).reshape(8, 10)).save(tmp_path / f"{name}.png")
    status, _ = command("attention", str(tmp_path / f"{name}.png"), "--output", str(tmp_path / "maps"))
    assert status == 0
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {
        f"{name}_attention.{end}" for end in ("png", "npy")
    }
    assert [str(each.message) for each in recwarn if "Glyph" in str(each.message)] == []


def test_nothing_is_overwritten_and_nothing_half_is_left(scan: Path, vit: AnyViT) -> None:
    slices, before = open_slices(scan), {scan.name}
    with pytest.raises(ValueError, match=r"pixel \(16, 0\).*16 rows and 24 columns"):
        write_attention(slices, "heart", vit, Request(token=(16, 0)), scan.parent)
    assert {path.name for path in scan.parent.iterdir()} == before
    mine = scan.with_name("heart_attention.npy")
    mine.write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"heart_attention\.npy exists.*--output"):
        write_attention(slices, "heart", vit, Request(), scan.parent)
    assert mine.read_bytes() == b"mine"
    assert {path.name for path in scan.parent.iterdir()} == {scan.name, mine.name}


@pytest.mark.parametrize(("heads", "shape"), [(1, (2, 2)), (6, (2, 7)), (12, (4, 7))])
def test_every_head_has_a_panel_and_the_patch_a_frame(heads: int, shape: tuple[int, int]) -> None:
    maps = np.random.default_rng(0).random((2, heads, 10, 20))
    figure = attention_panel(list(maps[:, 0]), maps, ["a", "b"], "title", (4.0, 2.0, 5.0, 2.5))
    panels = figure.axes
    assert len(panels) == shape[0] * shape[1]
    drawn = [panel for panel in panels if panel.images]
    assert len(drawn) == 2 * (heads + 1)
    np.testing.assert_array_equal(drawn[heads].images[0].get_array(), maps[0, -1])
    frames = [patch for panel in drawn for patch in panel.patches if isinstance(patch, Rectangle)]
    assert {(frame.get_x(), frame.get_y(), frame.get_width(), frame.get_height()) for frame in frames} == {
        (3.5, 1.5, 5.0, 2.5)  # edges of pixels lie half a pixel before their centers
    }
    assert len(frames) == len(drawn)


def test_the_command_goes_on_after_an_input_that_fails(scan: Path) -> None:
    folder = scan.parent / "new" / "maps"
    missing = scan.with_name("missing.png")
    status, said = command("attention", str(missing), str(scan), "--token", "3,20", "--output", str(folder))
    assert status == 1
    assert "1 of 2" in said
    assert {path.name for path in folder.iterdir()} == {f"heart_attention.{end}" for end in ("png", "npy", "nii.gz")}
    expected = attention_maps(np.ascontiguousarray(open_slices(scan).images[3]), "tour", token=(3, 20))
    np.testing.assert_allclose(np.load(folder / "heart_attention.npy")[3], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--token", "3"], ("'3'", "cls", "40,60")),
        (["--token", "3,-1"], ("'3,-1'",)),
        (["--block", "4"], ("tour", "block 4", "0 to 3")),
        (["--weights", "resnet18"], ("resnet18", "ResNet")),
        (["--slice-axis", "up"], ("'up'", "superior")),
        (["--weights", "nowhere.pth"], ("nowhere.pth", "does not exist")),
    ],
)
def test_wrong_options_are_one_line_before_any_input_is_read(
    arguments: list[str], words: tuple[str, ...], tmp_path: Path
) -> None:
    status, _ = command("attention", str(tmp_path / "missing.png"), "--output", str(tmp_path / "maps"), *arguments)
    assert all(word in str(status) for word in words), status
    assert not (tmp_path / "maps").exists()


def test_a_size_of_0_is_not_taken_for_none(tmp_path: Path) -> None:
    assert command("attention", str(tmp_path / "missing.png"), "--size", "0")[0] == 2
