"""The phantom data set: layout, determinism, and hearts that show the pathology of their group."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from dainet.data.phantoms.cardiac import CardiacPatient, make_cardiac_patient, write_cardiac_phantoms
from dainet.data.phantoms.cardiac_anatomy import ANGLES, GROUPS, Heart, cut_heart, sample_heart

RV, MYO, LV = 1, 2, 3
SEED = 0


@pytest.fixture(scope="module")
def patients() -> list[CardiacPatient]:
    """One patient per group."""
    return [make_cardiac_patient(number, SEED) for number in range(1, len(GROUPS) + 1)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of two patients on disk."""
    target = tmp_path_factory.mktemp("phantoms")
    write_cardiac_phantoms(target, patients=2, seed=SEED)
    return target


def _hearts(group: str, count: int = 20) -> list[Heart]:
    return [sample_heart(group, np.random.default_rng([7, index])) for index in range(count)]


def _area(radius: NDArray[np.floating]) -> float:
    return float(np.pi * np.mean(radius**2))


def _volume_ml(patient: CardiacPatient, phase: str, label: int) -> float:
    return float((patient.phases[phase][1] == label).sum() * np.prod(patient.spacing_mm) / 1000)


def _info(folder: Path) -> dict[str, str]:
    return dict(line.split(": ") for line in (folder / "Info.cfg").read_text(encoding="utf-8").splitlines())


def test_layout_is_that_of_acdc(written: Path, patients: list[CardiacPatient]) -> None:
    for patient in patients[:2]:
        folder = written / "training" / patient.patient_id
        info = _info(folder)
        assert list(info) == ["ED", "ES", "Group", "Height", "NbFrame", "Weight"]
        assert info["Group"] == patient.group
        assert int(info["ES"]) <= int(info["NbFrame"])
        frames = [f"{patient.patient_id}_frame{int(info[phase]):02d}" for phase in ("ED", "ES")]
        expected = {"Info.cfg"} | {f"{frame}{end}.nii.gz" for frame in frames for end in ("", "_gt")}
        assert {path.name for path in folder.iterdir()} == expected


def test_files_hold_the_patient_with_its_spacing(written: Path, patients: list[CardiacPatient]) -> None:
    patient = patients[0]
    stem = written / "training" / patient.patient_id / f"{patient.patient_id}_frame{patient.es_frame:02d}"
    for array, end in zip(patient.phases["ES"], ("", "_gt"), strict=True):
        nifti = nib.nifti1.Nifti1Image.from_filename(f"{stem}{end}.nii.gz")
        np.testing.assert_array_equal(np.asanyarray(nifti.dataobj), np.asarray(array).transpose(2, 1, 0))
        np.testing.assert_allclose(np.array(nifti.header.get_zooms()), patient.spacing_mm[::-1], rtol=1e-6)
    assert nifti.get_data_dtype() == np.uint8  # the label, read last


def test_same_seed_same_bytes_and_nothing_is_left_behind(written: Path, tmp_path: Path) -> None:
    stale = tmp_path / "training" / ".patient001.partial"
    stale.mkdir(parents=True)
    write_cardiac_phantoms(tmp_path, patients=1, seed=SEED)
    folders = [root / "training" / "patient001" for root in (written, tmp_path)]
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert first == second
    assert [path.name for path in (tmp_path / "training").iterdir()] == ["patient001"]


def test_other_seed_and_number_give_another_heart(patients: list[CardiacPatient]) -> None:
    arrays = [patient.phases["ED"][1] for patient in (patients[0], make_cardiac_patient(1, 1), make_cardiac_patient(6))]
    assert all(not np.array_equal(one, other) for one, other in itertools.combinations(arrays, 2))


def test_volumes_have_plausible_size_type_and_every_label(patients: list[CardiacPatient]) -> None:
    for patient in patients:
        assert 8 <= patient.spacing_mm[0] <= 10
        assert 1.37 <= patient.spacing_mm[1] <= 1.68
        for image, label in patient.phases.values():
            assert image.shape == label.shape
            assert 6 <= len(image) <= 10
            assert image.dtype == np.float32
            assert label.dtype == np.uint8
            assert image.min() >= 0
            assert image.max() < np.iinfo(np.int16).max
            assert np.unique(label).tolist() == [0, 1, 2, 3]
    assert len({patient.phases["ED"][0].shape for patient in patients}) > 1
    assert len({patient.spacing_mm for patient in patients}) > 1


def test_blood_is_brighter_than_myocardium(patients: list[CardiacPatient]) -> None:
    for patient in patients:
        image, label = patient.phases["ED"]
        assert image[label == LV].mean() > 1.3 * image[label == MYO].mean()
        assert image[label == RV].mean() > 1.2 * image[label == MYO].mean()


def test_hearts_contract(patients: list[CardiacPatient]) -> None:
    for patient in patients:
        assert _volume_ml(patient, "ED", LV) > _volume_ml(patient, "ES", LV)
        assert _volume_ml(patient, "ED", RV) > _volume_ml(patient, "ES", RV)
        assert _volume_ml(patient, "ES", MYO) == pytest.approx(_volume_ml(patient, "ED", MYO), rel=0.4)


def test_myocardium_encloses_the_cavity(patients: list[CardiacPatient]) -> None:
    for patient, phase in itertools.product(patients, ("ED", "ES")):
        label = patient.phases[phase][1]
        for plane in label[len(label) // 3 : 2 * len(label) // 3]:
            ring = plane == MYO
            assert (plane == LV).any()
            assert not ((plane == LV) & ~ndimage.binary_fill_holes(ring)).any()


def test_groups_differ_as_their_names_say() -> None:
    cuts = {group: [cut_heart(heart, 0.35 * heart.length_mm, 0) for heart in _hearts(group)] for group in GROUPS}
    cavity = {group: np.mean([_area(cut.endo) for cut in cuts[group]]) for group in GROUPS}
    wall = {group: np.mean([(cut.epi - cut.endo).max() for cut in cuts[group]]) for group in GROUPS}
    right = {group: np.mean([_area(cut.rv) for cut in cuts[group]]) for group in GROUPS}
    assert cavity["DCM"] > 1.5 * cavity["NOR"]
    assert wall["HCM"] > 1.4 * wall["NOR"]
    assert wall["HCM"] > 12
    assert right["RV"] > 1.25 * right["NOR"]
    septum = np.abs(np.abs(ANGLES) - np.pi) < 0.2
    flatness = {g: np.mean([cut.endo[septum].mean() / cut.endo.mean() for cut in cuts[g]]) for g in ("RV", "NOR")}
    assert flatness["RV"] < flatness["NOR"] - 0.05


@pytest.mark.parametrize(
    ("group", "low", "high"), [("NOR", 0.5, 0.75), ("DCM", 0.05, 0.35), ("HCM", 0.5, 0.85), ("MINF", 0.2, 0.45)]
)
def test_ejection_fraction(group: str, low: float, high: float) -> None:
    def volume(heart: Heart, systole: float) -> float:
        return sum(_area(cut_heart(heart, float(depth), systole).endo) for depth in range(0, 100, 2))

    fractions = [1 - volume(heart, 1) / volume(heart, 0) for heart in _hearts(group)]
    assert low < np.mean(fractions) < high


def test_infarct_is_thin_and_still_and_regional() -> None:
    for heart in _hearts("MINF"):
        depth = 0.55 * heart.length_mm
        ends = [
            cut_heart(heart, depth + systole * heart.shortening * 0.45 * heart.length_mm, systole) for systole in (0, 1)
        ]
        core, healthy = heart.passive > 0.99, heart.passive < 0.01
        motion = 1 - ends[1].endo / ends[0].endo
        wall = ends[0].epi - ends[0].endo
        assert motion[core].mean() < 0.05 < 0.12 < motion[healthy].mean()
        assert wall[core].mean() < 0.85 * wall[healthy].mean()


def test_every_fifteenth_patient_has_systole_first() -> None:
    patient = make_cardiac_patient(15, SEED)
    assert (patient.ed_frame, patient.es_frame) == (11, 4)
    assert _volume_ml(patient, "ED", LV) > _volume_ml(patient, "ES", LV)


@pytest.mark.parametrize(("patients", "seed"), [(0, 0), (-3, 0), (1, -1)])
def test_impossible_requests_are_refused(patients: int, seed: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="patient"):
        write_cardiac_phantoms(tmp_path, patients, seed)
    with pytest.raises(ValueError, match="number"):
        make_cardiac_patient(patients, seed)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["patient001", "patient002"])
def test_patients_that_are_there_are_neither_mixed_with_phantoms_nor_replaced(name: str, tmp_path: Path) -> None:
    film = tmp_path / "training" / name / f"{name}_4d.nii.gz"
    film.parent.mkdir(parents=True)
    film.write_bytes(b"a real film")
    with pytest.raises(FileExistsError, match=f"{name}.*empty folder"):
        write_cardiac_phantoms(tmp_path, patients=1)
    assert [path.read_bytes() for path in tmp_path.rglob("*.nii.gz")] == [b"a real film"]


def test_unknown_group_is_refused() -> None:
    with pytest.raises(ValueError, match="NOR, DCM, HCM, MINF, RV"):
        sample_heart("ARVC", np.random.default_rng(0))
