"""The abdominal phantom: layout, determinism, and place, size and gray level of its organs."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dainet.data.phantoms.abdomen import ABDOMEN_NUMBERS, AbdomenPatient, make_abdomen, write_abdomen_phantoms

SEED = 0
SPLEEN, RIGHT_KIDNEY, LEFT_KIDNEY, GALLBLADDER, ESOPHAGUS, LIVER, STOMACH, AORTA, CAVA, PORTAL = range(1, 11)
PANCREAS, RIGHT_ADRENAL, LEFT_ADRENAL = range(11, 14)
# ml, a little wider than in adults: edges of small organs are coarse at 128 px
VOLUMES_ML = {
    SPLEEN: (130, 370), RIGHT_KIDNEY: (115, 215), LEFT_KIDNEY: (115, 215), GALLBLADDER: (15, 55), ESOPHAGUS: (4, 30),
    LIVER: (1150, 1950), STOMACH: (190, 520), AORTA: (35, 110), CAVA: (35, 120), PORTAL: (8, 40), PANCREAS: (45, 110),
    RIGHT_ADRENAL: (1.5, 13), LEFT_ADRENAL: (1.5, 13),
}  # fmt: skip
# HU, medians: the edges hold fat and air
GRAYS_HU = {
    SPLEEN: (90, 140), RIGHT_KIDNEY: (130, 195), LEFT_KIDNEY: (130, 195), GALLBLADDER: (-5, 30), ESOPHAGUS: (10, 80),
    LIVER: (75, 130), STOMACH: (-60, 70), AORTA: (115, 190), CAVA: (95, 165), PORTAL: (80, 170), PANCREAS: (55, 110),
    RIGHT_ADRENAL: (5, 95), LEFT_ADRENAL: (5, 95),
}  # fmt: skip


@pytest.fixture(scope="module")
def patients() -> list[AbdomenPatient]:
    return [make_abdomen(number, SEED) for number in (1, 8, 22, 40)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of two patients on disk."""
    target = tmp_path_factory.mktemp("abdomens")
    write_abdomen_phantoms(target, patients=2, seed=SEED, size=64)
    return target


def _center(patient: AbdomenPatient, label: int) -> tuple[float, float, float]:
    """Slice, row and column in the middle of an organ."""
    slices, rows, columns = np.nonzero(patient.label == label)
    return float(slices.mean()), float(rows.mean()), float(columns.mean())


def test_numbers_are_those_of_btcv() -> None:
    assert len(ABDOMEN_NUMBERS) == 30
    assert set(ABDOMEN_NUMBERS) == set(range(1, 11)) | set(range(21, 41))


def test_volumes_have_plausible_shape_and_type(patients: list[AbdomenPatient]) -> None:
    for patient in patients:
        assert patient.image.shape == patient.label.shape == (len(patient.image), 128, 128)
        assert patient.image.dtype == np.int16
        assert patient.label.dtype == np.uint8
        assert 20 <= len(patient.image) <= 45
        assert 300 <= 128 * patient.spacing_mm[1] <= 420.1
        assert patient.spacing_mm[1] == patient.spacing_mm[2]
        assert -1024 <= patient.image.min() < -950
        assert 300 < patient.image.max() <= 3071
        assert np.unique(patient.label).tolist() == list(range(14))
        assert all((patient.label == label).any(axis=(1, 2)).sum() >= 2 for label in VOLUMES_ML)
    assert len({patient.spacing_mm for patient in patients}) == len(patients)


def test_organs_have_plausible_volumes(patients: list[AbdomenPatient]) -> None:
    for patient in patients:
        for label, (low, high) in VOLUMES_ML.items():
            volume_ml = (patient.label == label).sum() * np.prod(patient.spacing_mm) / 1000
            assert low < volume_ml < high, (patient.number, label)


def test_organs_have_plausible_grays(patients: list[AbdomenPatient]) -> None:
    for patient in patients:
        for label, (low, high) in GRAYS_HU.items():
            assert low < np.median(patient.image[patient.label == label]) < high, (patient.number, label)


def test_gray_alone_does_not_tell_the_organs(patients: list[AbdomenPatient]) -> None:
    for patient in patients:
        low, high = np.percentile(patient.image[patient.label == LIVER], (10, 90))
        others = ((patient.image > low) & (patient.image < high) & (patient.label != LIVER)).sum()
        assert others > 0.3 * (patient.label == LIVER).sum()


def test_organs_lie_where_a_radiologist_looks_for_them(patients: list[AbdomenPatient]) -> None:
    for patient in patients:
        center = {label: _center(patient, label) for label in VOLUMES_ML}
        assert center[LIVER][2] < center[SPLEEN][2]
        assert center[CAVA][2] < center[AORTA][2]
        assert center[RIGHT_KIDNEY][2] < center[LEFT_KIDNEY][2]
        liver = np.array(center[LIVER])
        to_right, to_left = (np.linalg.norm(liver - center[kidney]) for kidney in (RIGHT_KIDNEY, LEFT_KIDNEY))
        assert to_right < to_left
        assert center[ESOPHAGUS][0] > max(center[RIGHT_KIDNEY][0], center[LEFT_KIDNEY][0])
        assert center[RIGHT_ADRENAL][0] > center[RIGHT_KIDNEY][0]
        assert center[LEFT_ADRENAL][0] > center[LEFT_KIDNEY][0]
        assert center[STOMACH][1] < center[SPLEEN][1]
        assert center[PANCREAS][1] < center[AORTA][1]


def test_spine_lies_behind_the_aorta_and_air_in_front_of_the_stomach(patients: list[AbdomenPatient]) -> None:
    for patient in patients:
        _, row, column = _center(patient, AORTA)
        near = patient.image[:, :, int(column) - 12 : int(column) + 12]
        assert np.nonzero(near > 350)[1].mean() > row
        stomach = patient.label == STOMACH
        gas, content = stomach & (patient.image < -600), stomach & (patient.image > -100)
        assert gas.any()
        assert np.nonzero(gas)[1].mean() < np.nonzero(content)[1].mean()


def test_lungs_are_above_and_skin_is_inside_the_picture(patients: list[AbdomenPatient]) -> None:
    for patient in patients:
        lung = ((patient.image > -930) & (patient.image < -780)).sum(axis=(1, 2))
        assert lung[-3:].mean() > 10 * lung[:10].mean()
        assert (patient.image[:, :, [0, -1]] < -500).all()
        assert (patient.image[:, [0, -1]] < -500).all()


@pytest.mark.parametrize("number", [2, 3, 4, 5, 24, 25, 26, 33])
def test_gallbladder_is_missing_where_it_was_removed(number: int) -> None:
    assert (make_abdomen(number, SEED, size=32).label == GALLBLADDER).any() == (number not in (3, 25))


def test_same_seed_same_patient_and_others_differ() -> None:
    first, again = make_abdomen(5, SEED, 48), make_abdomen(5, SEED, 48)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.label, again.label)
    for other in (make_abdomen(5, 1, 48), make_abdomen(6, SEED, 48)):
        assert not np.array_equal(first.label, other.label)


def test_sizes_show_the_same_body() -> None:
    small, large = (make_abdomen(21, SEED, size) for size in (64, 128))
    volumes = [(p.label == LIVER).sum() * np.prod(p.spacing_mm) for p in (small, large)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.1)
    assert len(small.image) < len(large.image)


def test_layout_is_that_of_btcv(written: Path) -> None:
    names = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    assert names == {f"{kind}/{kind}000{number}.nii.gz" for kind in ("img", "label") for number in (1, 2)}


def test_files_hold_the_patient_turned(written: Path) -> None:
    patient = make_abdomen(2, SEED, size=64)
    image, label = (
        nib.nifti1.Nifti1Image.from_filename(written / kind / f"{kind}0002.nii.gz") for kind in ("img", "label")
    )
    np.testing.assert_array_equal(image.affine, label.affine)
    for nifti, array in ((image, patient.image), (label, patient.label)):
        assert nib.orientations.aff2axcodes(nifti.affine) == ("L", "A", "S")
        assert nifti.get_data_dtype() == array.dtype
        assert nifti.header.get_xyzt_units()[0] == "mm"
        np.testing.assert_allclose(nifti.header.get_zooms(), patient.spacing_mm[::-1], rtol=1e-6)
        np.testing.assert_array_equal(np.asanyarray(nifti.dataobj).T[:, ::-1], array)


def test_writing_again_gives_the_same_bytes_and_leaves_nothing_behind(written: Path, tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / ".img0001.nii.gz.partial").write_bytes(b"stale")
    write_abdomen_phantoms(tmp_path, patients=1, seed=SEED, size=64)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [path.name for path in files] == ["img0001.nii.gz", "label0001.nii.gz"]
    for path in files:
        assert path.read_bytes() == (written / path.relative_to(tmp_path)).read_bytes()


@pytest.mark.parametrize(("patients", "seed", "size"), [(0, 0, 64), (31, 0, 64), (1, -1, 64), (1, 0, 31)])
def test_impossible_data_sets_are_refused(patients: int, seed: int, size: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 to 30"):
        write_abdomen_phantoms(tmp_path, patients, seed, size)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "seed", "size"), [(0, 0, 64), (11, 0, 64), (41, 0, 64), (1, -1, 64), (1, 0, 31)])
def test_impossible_patients_are_refused(number: int, seed: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"1 to 10.*21 to 40"):
        make_abdomen(number, seed, size)


@pytest.mark.parametrize("name", ["img/img0001.nii.gz", "img/img0002.nii.gz", "label/label0061.nii.gz"])
def test_scans_that_are_there_are_neither_mixed_with_phantoms_nor_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(b"a real scan")
    with pytest.raises(FileExistsError, match="empty folder"):
        write_abdomen_phantoms(tmp_path, patients=1, size=32)
    assert [path.read_bytes() for path in tmp_path.rglob("*.nii.gz")] == [b"a real scan"]
