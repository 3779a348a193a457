"""Reading scans of every kind, and writing label maps that lie on them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from dainet.data.scans import Scan, label_ending, read_scan, write_labels
from dainet.data.volume import DataError
from tests.helpers.formats import load_nifti
from tests.helpers.scans import ITK_ENDINGS, oblique_affine, save_dicom, save_itk, save_nifti_scan, to_itk

AFFINE = oblique_affine()
VOXELS = np.random.default_rng(0).integers(-50, 900, (12, 9, 5)).astype(np.int16)
LABELS = (VOXELS > 700).astype(np.uint8) + (VOXELS > 800)
COLORS = ("#e41a1c", "#4daf4a")
ENDINGS = (".nii", ".nii.gz", ".hdr", ".img", *ITK_ENDINGS, "")  # "": a folder with DICOM


def save(path: Path, ending: str, voxels: np.ndarray = VOXELS) -> Path:
    """Write a scan in the kind of an ending; return what a user would name."""
    scan = path / f"heart{ending}"
    if not ending:
        save_dicom(scan, voxels, AFFINE, "CT")
    elif ending in ITK_ENDINGS:
        save_itk(scan, voxels, AFFINE)
    elif ending in (".hdr", ".img"):
        nibabel.Nifti1Pair(voxels, AFFINE).to_filename(scan)
    else:
        save_nifti_scan(scan, voxels, AFFINE)
    return scan


def places(affine: np.ndarray, indices: np.ndarray) -> np.ndarray:
    return nibabel.affines.apply_affine(affine, indices)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_kind_gives_the_same_voxels_at_the_same_places(ending: str, tmp_path: Path) -> None:
    scan = read_scan(save(tmp_path, ending))
    assert (scan.name, scan.modality) == ("heart", "" if ending else "CT")
    np.testing.assert_array_equal(scan.voxels, VOXELS)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(scan.edges_mm, (1.4, 1.5, 8.0), atol=1e-6)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_label_map_lies_on_its_scan(ending: str, tmp_path: Path) -> None:
    scan = read_scan(save(tmp_path, ending))
    path = tmp_path / f"labels{label_ending(scan)}"
    write_labels(scan, LABELS, path, COLORS)
    written = read_scan(path)
    np.testing.assert_array_equal(written.voxels, LABELS)
    assert written.voxels.dtype == np.uint8
    indices = np.argwhere(LABELS)
    np.testing.assert_allclose(places(written.affine, indices), places(AFFINE, indices), atol=1e-4)


def test_a_nifti_label_map_has_the_codes_and_units_of_its_scan(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOXELS, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(AFFINE, 2)
    image.set_qform(oblique_affine(degrees=(1.0, 2.0, 3.0)), 1)  # another than the sform, as some scanners write
    image.header.set_slope_inter(2.0, -1024.0)
    image.header["cal_max"] = 900
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"name of a patient"))
    image.to_filename(tmp_path / "a.nii.gz")
    write_labels(read_scan(tmp_path / "a.nii.gz"), LABELS, tmp_path / "b.nii.gz", COLORS)
    before, after = (load_nifti(tmp_path / name).header for name in ("a.nii.gz", "b.nii.gz"))
    kept = ("pixdim", "xyzt_units", "sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "qoffset_x")
    for field in kept:
        np.testing.assert_array_equal(after[field], before[field], err_msg=field)
    assert (after.get_data_dtype(), after["cal_max"], len(after.extensions)) == (np.uint8, 0, 0)
    assert np.asanyarray(load_nifti(tmp_path / "b.nii.gz").dataobj).dtype == np.uint8  # nothing scales it


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16"])
def test_a_gray_picture_is_one_slice(mode: str, tmp_path: Path) -> None:
    gray = np.random.default_rng(1).integers(0, 255, (6, 8)).astype(np.uint16 if mode == "I;16" else np.uint8)
    picture = Image.fromarray(gray)
    (picture if mode == "I;16" else picture.convert(mode)).save(tmp_path / "slice.png")
    scan = read_scan(tmp_path / "slice.png")
    assert scan.affine is None
    np.testing.assert_array_equal(scan.voxels, gray.T[..., None])


def test_the_label_map_of_a_picture_has_the_colors_of_the_classes(tmp_path: Path) -> None:
    Image.fromarray(VOXELS[:, :, 0].T.astype(np.uint8)).save(tmp_path / "slice.jpg")
    labels = LABELS[:, :, :1]
    write_labels(read_scan(tmp_path / "slice.jpg"), labels, tmp_path / "labels.png", COLORS)
    picture = Image.open(tmp_path / "labels.png")
    np.testing.assert_array_equal(np.asarray(picture), labels[:, :, 0].T)
    shown = np.asarray(picture.convert("RGB"))
    assert (shown[labels[:, :, 0].T == 1] == (0xE4, 0x1A, 0x1C)).all()
    assert (shown[labels[:, :, 0].T == 2] == (0x4D, 0xAF, 0x4A)).all()


def test_a_photograph_with_a_preview_is_no_film(tmp_path: Path) -> None:
    gray = np.arange(64, dtype=np.uint8).reshape(8, 8)
    photo = Image.fromarray(gray)
    photo.save(tmp_path / "photo.jpg", format="MPO", save_all=True, append_images=[photo.resize((4, 4))], quality=100)
    assert np.abs(read_scan(tmp_path / "photo.jpg").voxels[..., 0] - gray.T.astype(float)).max() < 4


def test_one_of_several_dicom_series_is_chosen_by_number(tmp_path: Path) -> None:
    save_dicom(tmp_path / "study", VOXELS, AFFINE, uid="1.2.3.1", description="localizer")
    save_dicom(tmp_path / "study", VOXELS[:, :, :3] + 1, AFFINE, uid="1.2.3.2", description="heart short axis")
    with pytest.raises(DataError, match=r"study#1: MR localizer 5 files; study#2: MR heart short axis 3 files"):
        read_scan(tmp_path / "study")
    scan = read_scan(tmp_path / "study#2")
    assert scan.name == "study_2"
    np.testing.assert_array_equal(scan.voxels, VOXELS[:, :, :3] + 1)


@pytest.mark.parametrize("ending", [".nii.gz", ".img", *ITK_ENDINGS])
def test_one_frame_with_a_fourth_axis_is_a_scan_like_others(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"frame{ending}"
    if ending in ITK_ENDINGS:
        sitk.WriteImage(sitk.JoinSeries([to_itk(VOXELS, AFFINE)]), str(path))
    else:
        (nibabel.Nifti1Image if ending == ".nii.gz" else nibabel.Nifti1Pair)(VOXELS[..., None], AFFINE).to_filename(
            path
        )
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.voxels, VOXELS)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(scan.edges_mm, (1.4, 1.5, 8.0), atol=1e-6)
    write_labels(scan, LABELS, tmp_path / f"labels{label_ending(scan)}", COLORS)
    written = read_scan(tmp_path / f"labels{label_ending(scan)}")
    np.testing.assert_array_equal(written.voxels, LABELS)
    np.testing.assert_allclose(written.affine, AFFINE, atol=1e-4)


@pytest.mark.parametrize("element", [b"\x88", b"\x50"], ids=["distance", "thickness"])  # (0018,0088), (0018,0050)
def test_a_single_slice_of_dicom_is_as_thick_as_its_file_says(element: bytes, tmp_path: Path) -> None:
    save_dicom(tmp_path / "one", VOXELS[:, :, :1], AFFINE)
    (path,) = (tmp_path / "one").iterdir()
    stored = path.read_bytes()
    assert b"\x18\0\x88\0\x02\0\0\0" in stored
    path.write_bytes(stored.replace(b"\x18\0\x88\0\x02\0\0\0", b"\x18\0" + element + b"\0\x02\0\0\0"))
    scan = read_scan(tmp_path / "one")
    np.testing.assert_allclose(scan.edges_mm, (1.4, 1.5, 8.0), atol=1e-6)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-5)


def edited(slices: int, old: bytes, new: bytes) -> Callable[[Path], Path]:
    """A series of so many slices, in the file of whose first one some bytes are others."""

    def make(path: Path) -> Path:
        save_dicom(path / "edited", VOXELS[:, :, :slices], AFFINE)
        file = min((path / "edited").iterdir())
        assert old in file.read_bytes()
        file.write_bytes(file.read_bytes().replace(old, new))
        return path / "edited"

    return make


def film(path: Path) -> Path:
    save_nifti_scan(path / "film.nii.gz", np.zeros((4, 4, 4, 3), np.int16), AFFINE)
    return path / "film.nii.gz"


def nrrd_film(path: Path) -> Path:
    frames = sitk.JoinSeries([to_itk(VOXELS, AFFINE)] * 3)
    sitk.WriteImage(frames, str(path / "film.nrrd"))
    return path / "film.nrrd"


def dicom_film(path: Path) -> Path:
    for frame in range(2):
        save_dicom(path / "film", VOXELS + frame, AFFINE, first=5 * frame)
    return path / "film"


def missing_slice(path: Path) -> Path:
    save_dicom(path / "gap", VOXELS, AFFINE)
    sorted((path / "gap").iterdir())[2].unlink()
    return path / "gap"


def missing_thin_slice(path: Path) -> Path:
    save_dicom(path / "thin", np.tile(VOXELS, 4), oblique_affine((0.7, 0.7, 0.7)))
    sorted((path / "thin").iterdir())[10].unlink()
    return path / "thin"


def tilted(path: Path) -> Path:
    sheared = AFFINE.copy()
    sheared[:3, 2] += 0.4 * AFFINE[:3, 0]
    for z in range(5):
        at = sheared.copy()
        at[:3, :3], at[:3, 3] = AFFINE[:3, :3], (sheared @ (0, 0, z, 1))[:3]
        save_dicom(path / "tilted", VOXELS[:, :, z : z + 1], at, first=z)
    return path / "tilted"


def vectors(path: Path) -> Path:
    sitk.WriteImage(sitk.Compose([to_itk(VOXELS, AFFINE)] * 3), str(path / "vectors.mha"))
    return path / "vectors.mha"


def nifti_colors(path: Path) -> Path:
    voxels = np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(path / "colors.nii.gz")
    return path / "colors.nii.gz"


def colors(path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (5, 5, 3)).astype(np.uint8)).save(path / "colors.png")
    return path / "colors.png"


def moving(path: Path) -> Path:
    pictures = [Image.fromarray(np.full((4, 4), number, np.uint8)) for number in (1, 200)]
    pictures[0].save(path / "moving.png", save_all=True, append_images=pictures[1:])
    return path / "moving.png"


def flat(path: Path) -> Path:
    sitk.WriteImage(to_itk(VOXELS, AFFINE)[:, :, 0], str(path / "flat.nrrd"))
    return path / "flat.nrrd"


def nan(path: Path) -> Path:
    voxels = VOXELS.astype(np.float32)
    voxels[1, 1, 1] = np.nan
    return save(path, ".mha", voxels)


def cut_short(ending: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        scan = save(path, ending)
        scan.write_bytes(scan.read_bytes()[: scan.stat().st_size // 2])
        return scan

    return make


def text(ending: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        (path / f"text{ending}").write_text("no scan")
        return path / f"text{ending}"

    return make


def huge(path: Path) -> Path:
    scan = save(path, ".mha")
    scan.write_bytes(scan.read_bytes().replace(b"DimSize = 12 9 5", b"DimSize = 90000 90000 900"))
    return scan


def without_files(path: Path) -> Path:
    (path / "empty").mkdir()
    shutil.copy(__file__, path / "empty")
    return path / "empty"


REFUSED = {
    "a film": (film, "give one frame"),
    "a film as NRRD": (nrrd_film, "give one frame"),
    "a film as DICOM": (dicom_film, "one frame"),
    "a moving picture": (moving, "one frame"),
    "a missing slice": (missing_slice, "8 to 16 mm apart"),
    "a missing thin slice": (missing_thin_slice, "0.7 to 1.4 mm apart"),
    "a tilted stack": (tilted, "tilted"),
    "a thickness in words": (edited(1, b"\x18\0\x88\0\x02\0\0\x008 ", b"\x18\0\x50\0\x02\0\0\x00e "), "thickness 'e'"),
    "a place in words": (edited(5, b"31.5\\-12.25\\40", b"31.5\\-12.25\\4e"), "where their slices lie"),
    "a place with two numbers": (edited(5, b"31.5\\-12.25\\40", b"31.5\\-12.25  0"), "where their slices lie"),
    "vectors": (vectors, "3 channels"),
    "colors in NIfTI": (nifti_colors, "one channel"),
    "a picture in color": (colors, "color"),
    "a flat NRRD": (flat, "three axes"),
    "one value": (lambda path: save(path, ".nii.gz", np.full((3, 3, 3), 7, np.int16)), "every voxel is 7"),
    "NaN": (nan, "NaN"),
    "nothing": (lambda path: path / "absent.nii", "not a file or folder"),
    "an unknown ending": (text(".mgz"), "unknown ending"),
    "a folder of other files": (without_files, "without DICOM"),
    "a NIfTI cut short": (cut_short(".nii.gz"), "cannot be read"),
    "a MetaImage cut short": (cut_short(".mha"), "cannot be read"),
    "an NRRD cut short": (cut_short(".nrrd"), "cannot be read"),
    **{f"text as {ending}": (text(ending), "cannot be read") for ending in (".nii", ".img", *ITK_ENDINGS, ".png")},
    "a huge claim": (huge, "claims"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_one_scan_is_refused_in_one_line(make: Callable[[Path], Path], words: str, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        read_scan(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.stem in message
    assert "sitk" not in message


def test_a_label_map_of_another_shape_is_refused(tmp_path: Path) -> None:
    scan: Scan = read_scan(save(tmp_path, ".nii"))
    with pytest.raises(ValueError, match="shape"):
        write_labels(scan, LABELS[:-1], tmp_path / "a.nii.gz", COLORS)
