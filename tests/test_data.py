import gzip

import h5py
import nibabel
import numpy as np
import pytest
from conftest import discs

from dainet.data.acdc import find_raw_cases, read_raw_volume
from dainet.data.prepared import choose_patients, normalise, resize_slices, run_prepared
from dainet.data.sources import find_cases, read_volume, source_folder
from dainet.data.volume import DataError
from dainet.settings import DataSettings


def write_raw(folder, ed=1, es=9, label_values=(0, 1, 2, 3)):
    folder.mkdir(parents=True)
    (folder / "Info.cfg").write_text(f"ED: {ed}\nES: {es}\nGroup: DCM\nNbFrame: 30\n")
    for frame in (ed, es):
        image, label = discs(frame)
        for suffix, array in (("", image), ("_gt", np.choose(label, label_values).astype(np.float32))):
            nifti = nibabel.Nifti1Image(array.T, np.diag([1.5, 1.4, 10, 1]))
            nifti.to_filename(folder / f"{folder.name}_frame{frame:02d}{suffix}.nii.gz")
    return folder


def test_raw_layout(tmp_path):
    write_raw(tmp_path / "training" / "patient001")
    cases = list(find_raw_cases(tmp_path))
    assert [(case.case_id, case.group) for case in cases] == [("patient001_ED", "DCM"), ("patient001_ES", "DCM")]
    volume = read_raw_volume(cases[0])
    image, label = discs(1)
    np.testing.assert_array_equal(volume.image, image)  # (x, y, z) came back as [D, H, W]
    np.testing.assert_array_equal(volume.label, label)
    assert volume.spacing_mm == pytest.approx((10, 1.4, 1.5))  # z, y, x


def test_frames_come_from_info_cfg_even_when_ed_is_later(tmp_path):
    write_raw(tmp_path / "patient090", ed=11, es=4)
    assert [case.image_path.name[11:18] for case in find_raw_cases(tmp_path)] == ["frame11", "frame04"]


def test_h5_frames_in_order_but_for_patient090(h5_source):
    frames = {case.case_id: case.image_path.stem[-2:] for case in find_cases(h5_source)}
    assert (frames["patient001_ED"], frames["patient001_ES"]) == ("01", "09")
    assert (frames["patient090_ED"], frames["patient090_ES"]) == ("09", "01")


def test_h5_has_no_spacing(h5_source):
    assert read_volume(find_cases(h5_source)[0]).spacing_mm is None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "Info.cfg").unlink(), "patient001: Info.cfg is missing"),
        (lambda f: (f / "Info.cfg").write_text("ED: first\nES: 9\n"), "ED = 'first'"),
        (lambda f: (f / "patient001_frame09.nii.gz").unlink(), "frame09.nii.gz is missing"),
        (lambda f: (f / "patient001_frame01_gt.nii.gz").unlink(), "frame01_gt.nii.gz is missing"),
    ],
)
def test_missing_raw_files_are_named(tmp_path, damage, words):
    damage(write_raw(tmp_path / "patient001"))
    with pytest.raises(DataError, match=words):
        find_cases(tmp_path)


def test_truncated_nifti_is_named(tmp_path):
    folder = write_raw(tmp_path / "patient001")
    path = folder / "patient001_frame01.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:500])[:-20])
    with pytest.raises(DataError, match="patient001_ED: patient001_frame01.nii.gz cannot be read"):
        read_volume(find_cases(tmp_path)[0])


def test_labels_out_of_range_are_named(tmp_path):
    write_raw(tmp_path / "patient001", label_values=(0, 1, 2, 7))
    with pytest.raises(DataError, match=r"patient001_ED.*7.*expected whole numbers 0 to 3"):
        read_volume(find_cases(tmp_path)[0])


@pytest.mark.parametrize(
    ("image", "label", "words"),
    [
        (np.ones((2, 4, 4)), np.zeros((2, 4, 4)), "every voxel is 1.0"),
        (np.full((2, 4, 4), np.nan), np.zeros((2, 4, 4)), "NaN or infinite"),
        (np.zeros((4, 4)), np.zeros((4, 4)), "expected two equal shapes"),
        (np.zeros((2, 4, 4)), np.zeros((2, 4, 5)), "expected two equal shapes"),
    ],
)
def test_bad_h5_volumes(tmp_path, image, label, words):
    for frame in (1, 9):
        with h5py.File(tmp_path / f"patient001_frame{frame:02d}.h5", "w") as file:
            file["image"], file["label"] = image, label
    with pytest.raises(DataError, match=f"patient001_ED.*{words}"):
        read_volume(find_cases(tmp_path)[0])


def test_a_lonely_frame_is_named(h5_source):
    (h5_source / "patient004_frame09.h5").unlink()
    with pytest.raises(DataError, match="patient004: found 1 annotated"):
        find_cases(h5_source)


def test_a_folder_without_scans_says_what_it_expected(tmp_path):
    with pytest.raises(DataError, match="raw ACDC"):
        find_cases(tmp_path)
    with pytest.raises(DataError, match="no folder"):
        source_folder(DataSettings(source=str(tmp_path / "nowhere")))


def test_prepared_store(h5_source):
    prepared = run_prepared(DataSettings(source=str(h5_source)), image_size=32)
    assert prepared.images.shape == prepared.labels.shape == (36, 32, 32)
    assert prepared.cases.groupby("split")["patient"].nunique().to_dict() == {"test": 1, "train": 4, "valid": 1}
    assert set(prepared.volumes("test")) == {"patient002_ED", "patient002_ES"}
    native = prepared.native("patient002_ED")
    np.testing.assert_array_equal(native.label, discs(201)[1])  # untouched
    assert native.spacing_mm is None
    row = prepared.rows("test")[0]
    expected = resize_slices(normalise(discs(201)[0], "minmax"), (32, 32), order=3)[0]
    np.testing.assert_allclose(prepared.images[row], expected, atol=1e-3)  # float16


def test_the_prepared_key_follows_a_files_content(h5_source):
    def prepare():
        return run_prepared(DataSettings(source=str(h5_source)), 32).result.key

    before = prepare()
    assert prepare() == before
    with h5py.File(h5_source / "patient001_frame01.h5", "a") as file:
        file["image"][0, 0, 0] = 0.5
    assert prepare() != before


def test_train_patients_spread_or_named():
    split = {f"p{i:02d}": "train" for i in range(10)} | {"t": "test"}
    assert [p for p in choose_patients(split, set(split), 3) if p != "t"] == ["p00", "p04", "p09"]
    assert set(choose_patients(split, set(split), ("p03",))) == {"p03", "t"}
    with pytest.raises(DataError, match="11.*10 training patients"):
        choose_patients(split, set(split), 11)
    with pytest.raises(DataError, match="p77"):
        choose_patients(split, set(split), ("p77",))


def test_a_split_without_test_patients_is_refused():
    with pytest.raises(DataError, match="no test patient"):
        choose_patients({"a": "train", "b": "test"}, {"a"}, None)


@pytest.mark.parametrize("mode", ["minmax", "percentile", "zscore"])
def test_normalisations(mode):
    image = np.random.default_rng(0).gamma(2, 50, (4, 20, 20))
    scaled = normalise(image, mode)
    if mode == "zscore":
        assert (scaled.mean(), scaled.std()) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
    else:
        assert (scaled.min(), scaled.max()) == (0, 1)
    if mode == "percentile":
        assert (scaled == 1).sum() == pytest.approx(0.005 * image.size, abs=2)
