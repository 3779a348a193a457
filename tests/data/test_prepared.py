import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from dainet.data.check import check_source
from dainet.data.prepared import run_prepared
from dainet.data.preprocessing import normalize, resize_slices
from dainet.data.sources import source_folder
from dainet.data.splits import choose_patients, resolve_split, spread
from dainet.data.volume import DataError, fullest_slice
from dainet.errors import InputError
from dainet.settings import DataSettings
from tests.helpers.formats import nnunet, source, transunet
from tests.helpers.samples import discs


def test_prepared_store(h5_source: Path) -> None:
    prepared = run_prepared(DataSettings(source=str(h5_source)), image_size=32)
    assert prepared.images.shape == prepared.labels.shape == (36, 32, 32)
    assert prepared.cases.groupby("split")["patient"].nunique().to_dict() == {"test": 1, "train": 4, "valid": 1}
    assert set(prepared.volumes("test")) == {"patient002_ED", "patient002_ES"}
    label, spacing_mm = prepared.native_label("patient002_ED")
    np.testing.assert_array_equal(label, discs(201)[1])  # untouched
    assert spacing_mm is None
    row = prepared.rows("test")[0]
    expected = resize_slices(normalize(discs(201)[0], "minmax"), (32, 32), order=3)[0]
    np.testing.assert_allclose(prepared.images[row], expected, atol=1e-3)  # float16
    np.testing.assert_array_equal(prepared.labels[row], resize_slices(discs(201)[1], (32, 32), order=0)[0])


def test_a_row_keeps_what_its_file_says(tmp_path: Path) -> None:
    nnunet(tmp_path, axes="LPS")
    prepared = run_prepared(DataSettings(dataset="custom", source=str(tmp_path)), image_size=32)
    assert prepared.cases["case_id"].tolist() == [name for name in "abc" for _ in range(3)]
    assert prepared.cases["slice"].tolist() == 3 * [0, 1, 2]
    assert prepared.cases["split"].tolist() == 6 * ["train"] + 3 * ["test"]
    edges = prepared.cases[["spacing_z_mm", "spacing_y_mm", "spacing_x_mm"]].astype(float).drop_duplicates()
    np.testing.assert_allclose(edges, [[10, 1.4, 1.5]])
    image, label = discs(2)
    stored, spacing_mm = prepared.native_label("c")
    np.testing.assert_array_equal(stored, label)
    assert spacing_mm == pytest.approx((10, 1.4, 1.5))
    assert set(prepared.cases.loc[6:, "sha256"]) == {hashlib.sha256(image.tobytes()).hexdigest()}
    assert set(prepared.cases.loc[6:, "file"]) == {"c_0000.nii.gz"}


def test_the_store_says_what_was_read(h5_source: Path) -> None:
    prepared = run_prepared(DataSettings(source=str(h5_source)), image_size=32)
    assert prepared.classes.names == ("RV", "Myo", "LV")
    about = prepared.about
    assert about["format"].startswith("SSL4MIS volumes")
    assert about["split"] == "mtunet"
    assert about["normalization"] == "minmax"
    assert about["listed"] == {"train": 70, "valid": 10, "test": 20}


@pytest.mark.parametrize("order", ["cascade", "samed"])
def test_the_label_order_that_was_found_is_recorded_with_its_evidence(tmp_path: Path, order: str) -> None:
    transunet(tmp_path, order)
    about = run_prepared(DataSettings(dataset="synapse", source=str(tmp_path)), 32).about
    assert about["label_order"] == order
    assert [line for line in about["label_evidence"] if line.startswith("liver (label ")]
    assert about["normalization"] == "window"


def test_examples_are_the_fullest_slices_of_evenly_spaced_volumes(h5_source: Path) -> None:
    prepared = run_prepared(DataSettings(source=str(h5_source)), image_size=32)
    labels = np.zeros_like(prepared.labels)
    chosen: dict[str, int] = {}
    for case_id, rows in prepared.volumes("train").items():
        chosen[case_id] = rows[len(chosen) % 3]
        labels[chosen[case_id], :5] = 1
    examples = replace(prepared, labels=labels).example_rows("train", 3)
    names = sorted(chosen)  # eight volumes
    assert examples.tolist() == [chosen[names[i]] for i in (0, 4, 7)]
    assert len(prepared.example_rows("test", 9)) == 2


@pytest.mark.parametrize("keep_native", [True, False])
def test_labels_of_test_volumes_alone_are_kept_on_their_grid(h5_source: Path, keep_native: bool) -> None:
    prepared = run_prepared(DataSettings(source=str(h5_source)), 32, keep_native=keep_native)
    kept = {path.stem for path in (prepared.result.path / "native").iterdir()}
    assert kept == ({"patient002_ED", "patient002_ES"} if keep_native else set())


def test_the_prepared_key_follows_a_files_content(h5_source: Path) -> None:
    def prepare() -> Any:
        return run_prepared(DataSettings(source=str(h5_source)), 32).result.key

    before = prepare()
    assert prepare() == before
    with h5py.File(h5_source / "patient001_frame01.h5", "a") as file:
        file["image"][0, 0, 0] = 0.5
    assert prepare() != before


def test_source_folders_are_looked_up(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.*folder"):
        source_folder(DataSettings(source=str(tmp_path / "nowhere")))
    with pytest.raises(DataError, match=r"data.source.*nnU-Net"):
        source_folder(DataSettings(dataset="custom"))


def test_train_patients_spread_or_named() -> None:
    split = {f"p{i:02d}": "train" for i in range(10)} | {"t": "test"}
    assert [p for p in choose_patients(split, set(split), 3) if p != "t"] == ["p00", "p04", "p09"]
    assert set(choose_patients(split, set(split), ("p03",))) == {"p03", "t"}
    with pytest.raises(DataError, match=r"11.*10"):
        choose_patients(split, set(split), 11)
    with pytest.raises(InputError, match="p77"):
        choose_patients(split, set(split), ("p77",))


def test_a_split_without_test_patients_is_refused() -> None:
    with pytest.raises(DataError, match=r"test .*1 patients"):
        choose_patients({"a": "train", "b": "test"}, {"a"}, None)


def test_data_without_a_split_are_spread_70_10_20() -> None:
    counts = pd.Series(spread([f"case{i:03d}" for i in range(50)])).value_counts()
    assert counts.to_dict() == {"train": 35, "test": 10, "valid": 5}
    kinds = ["train", "train", "test", "train", "train", "valid", "train", "test", "train", "train"]
    assert list(spread([f"case{i:03d}" for i in range(23)]).values()) == [*kinds, *kinds, *kinds[:3]]


@pytest.mark.parametrize("mode", ["minmax", "percentile", "zscore"])
def test_normalizations(mode: str) -> None:
    image = np.random.default_rng(0).gamma(2, 50, (4, 20, 20))
    scaled = normalize(image, mode)
    if mode == "zscore":
        assert (scaled.mean(), scaled.std()) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
    else:
        assert (scaled.min(), scaled.max()) == (0, 1)
    if mode == "percentile":
        low, high = np.quantile(image, (0.005, 0.995))
        np.testing.assert_allclose(scaled, np.clip((image - low) / (high - low), 0, 1))
    if mode == "minmax":
        np.testing.assert_allclose(scaled, (image - image.min()) / (image.max() - image.min()))
    nearly_constant = np.zeros((1, 20, 20))
    nearly_constant[0, 0, 0] = 8.0  # both percentiles are 0: the whole range is used
    if mode != "zscore":
        assert normalize(nearly_constant, mode).max() == 1


def test_the_window_is_transunets() -> None:
    hounsfield = np.array([-1000.0, -125, 75, 275, 3000])
    np.testing.assert_allclose(normalize(hounsfield, "window"), (np.clip(hounsfield, -125, 275) + 125) / 400)


@pytest.mark.parametrize("mode", ["window", "minmax", "percentile", "zscore"])
@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.int8, np.float16, np.int32])
def test_gray_values_of_every_type_are_normalized_like_real_numbers(kind: type, mode: str) -> None:
    """The whole range of the type, whose width the type itself cannot hold."""
    limits = np.finfo(kind) if kind is np.float16 else np.iinfo(kind)
    image: Any = np.linspace(float(limits.min), float(limits.max), 64).astype(kind)
    np.testing.assert_allclose(normalize(image, mode), normalize(image.astype(np.float64), mode), atol=1e-6)


@pytest.mark.parametrize(
    ("image", "mode", "words"),
    [
        (np.ones((2, 3, 3)), "minmax", "1 to 1"),
        (np.ones((2, 3, 3)), "percentile", "1 to 1"),
        (np.ones((2, 3, 3)), "zscore", "1 to 1"),
        (np.array([0, np.nan, 1]), "window", "nan"),
        (np.array([0, np.inf, 1]), "minmax", "inf"),
        (np.zeros((0, 3, 3)), "minmax", r"\(0, 3, 3\)"),
        (np.arange(9.0), "min-max", "did you mean minmax"),
        (np.arange(9.0), "auto", "auto.*window"),
    ],
)
def test_what_cannot_be_normalized_is_refused(image: np.ndarray, mode: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        normalize(image, mode)


@pytest.mark.parametrize("window", [(275, -125), (40, 40), (40, np.nan), (-np.inf, 40)])
def test_a_window_that_cannot_be_is_refused(window: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="window_hu"):
        normalize(np.arange(9.0), "window", window)


def test_slices_without_pixels_are_refused(h5_source: Path, runs: Path) -> None:
    with pytest.raises(InputError, match=r"\(0, 0\)"):
        run_prepared(DataSettings(source=str(h5_source)), image_size=0)
    assert not list(runs.glob("prepared/*"))


def test_a_window_needs_hounsfield_units(h5_source: Path) -> None:
    with pytest.raises(DataError, match="Hounsfield"):
        run_prepared(DataSettings(source=str(h5_source), normalization="window"), 32)


def test_the_same_scan_in_two_splits_is_refused(h5_source: Path, runs: Path) -> None:
    copy = (h5_source / "patient001_frame01.h5").read_bytes()
    (h5_source / "patient002_frame01.h5").write_bytes(copy)  # 1 trains, 2 tests
    with pytest.raises(DataError, match=r"patient001_ED \(train\).*patient002_ED \(test\)"):
        run_prepared(DataSettings(source=str(h5_source)), 32)
    assert not list((runs / "prepared").iterdir())


def test_the_scan_that_acdc_holds_twice_is_left_out_of_training(
    h5_source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the paper's split patient074 trains and patient076 validates; their labels differ, so the files do, too."""
    for frame in ("01", "12"):
        shutil.copy(h5_source / "patient001_frame01.h5", h5_source / f"patient074_frame{frame}.h5")
        shutil.copy(h5_source / "patient001_frame01.h5", h5_source / f"patient076_frame{frame}.h5")
        for number in (74, 76):
            with h5py.File(h5_source / f"patient0{number}_frame{frame}.h5", "r+") as file:
                file["image"][0, 0, 0] = 7.0 + int(frame)
                file["label"][0, 0, number - 74] = 1
    settings = DataSettings(source=str(h5_source))
    prepared = run_prepared(settings, 32)
    split = prepared.cases.groupby("patient")["split"].unique().map(list).to_dict()
    assert split["patient074"] == ["left out"]
    assert split["patient076"] == ["valid"]
    assert split["patient001"] == ["train"]
    assert len([text for text in caplog.messages if re.search(r"patient074.*patient076 \(valid\)", text)]) == 1
    report = check_source(settings)
    assert not report.problems
    assert "patient074" in report.suspicions[0]


def test_problems_are_reported_together_and_nothing_is_left(h5_source: Path, runs: Path) -> None:
    (h5_source / "patient001_frame01.h5").write_bytes(b"no h5")
    (h5_source / "patient005_frame09.h5").unlink()
    with h5py.File(h5_source / "patient019_frame09.h5", "a") as file:
        file["label"][0, 0, 0] = 7
    # Before any voxel is read:
    with pytest.raises(DataError, match=r"patient005: .*1 annotated"):
        run_prepared(DataSettings(source=str(h5_source)), 32)
    (h5_source / "patient005_frame01.h5").unlink()
    with pytest.raises(DataError) as caught:
        run_prepared(DataSettings(source=str(h5_source)), 32)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert "patient001_ED" in lines[0]
    assert "patient019_ES" in lines[1]
    assert "7" in lines[1]
    assert not list((runs / "prepared").iterdir())


def test_a_problem_without_a_patient_moves_nobody_to_another_part_of_the_split(tmp_path: Path) -> None:
    nnunet(tmp_path)
    settings, data = DataSettings(dataset="custom", source=str(tmp_path)), source(tmp_path, "custom")
    unlisted = replace(data, problems=(DataError("a folder cannot be listed"),))
    assert resolve_split(settings, unlisted) == resolve_split(settings, data)


def test_problems_of_patients_outside_the_split_do_not_stop_a_run(
    h5_source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (h5_source / "patient005_frame09.h5").unlink()
    split = tmp_path / "mine.csv"
    split.write_text("patient,split\npatient001,train\npatient002,test\npatient019,valid\n")
    prepared = run_prepared(DataSettings(source=str(h5_source), split=str(split)), 32)
    assert prepared.about["split"] == "mine.csv"
    assert prepared.cases["patient"].nunique() == 3
    assert [text for text in caplog.messages if "patient005" in text]


def test_phantoms_of_both_kinds_are_sources() -> None:
    for dataset, patients in (("acdc", 2), ("synapse", 2)):
        folder = source_folder(DataSettings(dataset=dataset, phantom_patients=patients))
        assert len({case.patient for case in source(folder, dataset).cases}) == patients


def test_the_fullest_slice_has_most_classes_then_most_foreground() -> None:
    label = np.zeros((4, 8, 8), np.uint8)
    label[0, :6] = 1  # much of one class
    label[1, 0, :3], label[2, 0, :5], label[2, 1, 0] = (1, 2, 2), 1, 2  # two classes, little of both
    assert fullest_slice(label) == 2
    assert fullest_slice(np.zeros((3, 4, 4), np.uint8)) == 0
