"""Every file that is read: change it, and either the key changes, or an empty cache gives the same result."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import nibabel
import numpy as np
import pytest

from dainet import protocol
from dainet.data.formats import label_order
from dainet.data.phantoms.abdomen import write_abdomen_phantoms
from dainet.data.prepared import run_prepared
from dainet.settings import DataSettings
from tests.helpers.formats import (
    acdc_patient,
    load_nifti,
    mtunet,
    nnunet,
    save_npz,
    short_axis,
    ssl4mis_slices,
    transunet,
)
from tests.helpers.samples import write_h5_source

# What a change returns: other settings, if it needs any.
Changed = dict[str, Any] | None


def raw_acdc(folder: Path) -> None:
    for number in (1, 2, 4):  # 4 is in no part of the split
        acdc_patient(folder / "training" / f"patient{number:03d}", seed=100 * number)
    split(folder, patient001="train", patient002="test")


def published(folder: Path) -> None:
    for number in (1, 2, 4):
        acdc_patient(folder / f"patient{number:03d}", seed=100 * number)


def ssl4mis(folder: Path) -> None:
    folder.rmdir()
    write_h5_source(folder)
    ssl4mis_slices(folder / "slices", 1)


def ssl4mis_and_table(folder: Path) -> None:
    ssl4mis(folder)
    split(folder, patient001="train", patient002="test")
    lines = [f"patient{number:03d},1.5,8,{70 + number}\n" for number in (1, 2, 4, 5, 19, 90)]
    (folder / "edges.csv").write_text("".join(["patient,pixel_mm,slice_distance_mm,weight_kg\n", *lines]))


def ssl4mis_as_slices(folder: Path) -> None:
    for number in (1, 2):
        ssl4mis_slices(folder, number)


def raw_btcv(folder: Path) -> None:
    write_abdomen_phantoms(folder / "btcv", 3, size=48)  # case0003 is in no part of the split
    split(folder, case0001="train", case0002="test")


def synapse_copy(folder: Path) -> None:
    transunet(folder, numbers=(5, 1, 8))
    split(folder, case0005="train", case0001="test")


def split(folder: Path, **parts: str) -> None:
    lines = [f"{patient},{part}\n" for patient, part in parts.items()]
    (folder / "split.csv").write_text("".join(["patient,split\n", *lines]))


# Format -> how it is written, data set, whether it has a split file of its own.
SOURCES: dict[str, tuple[Callable[[Path], None], str, bool]] = {
    "raw ACDC": (raw_acdc, "acdc", True),
    "raw ACDC, published split": (published, "acdc", False),
    "SSL4MIS volumes": (ssl4mis, "acdc", False),
    "SSL4MIS and a table": (ssl4mis_and_table, "acdc", True),
    "SSL4MIS slices": (ssl4mis_as_slices, "acdc", False),
    "MT-UNet": (mtunet, "acdc", False),
    "raw BTCV": (raw_btcv, "synapse", True),
    "TransUNet": (synapse_copy, "synapse", True),
    "nnU-Net": (nnunet, "custom", False),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a format's data set, written once."""

    @functools.cache
    def write(form: str) -> Path:
        folder = tmp_path_factory.mktemp("source")
        SOURCES[form][0](folder)
        return folder

    return write


def settings_of(form: str, folder: Path) -> dict[str, Any]:
    _, dataset, has_split = SOURCES[form]
    values = {"dataset": dataset, "source": str(folder)}
    files = {"split": folder / "split.csv"} if has_split else {}
    files |= {"spacing": path} if (path := folder / "edges.csv").is_file() else {}
    return values | {name: str(path) for name, path in files.items()}


# Changes


def text(name: str, old: str, new: str) -> Callable[..., Changed]:
    """Replace text in a file."""

    def change(folder: Path, _: pytest.MonkeyPatch) -> None:
        path = folder / name
        before = path.read_text()
        path.write_text(before.replace(old, new))
        assert path.read_text() != before

    return change


def exchange_phases(folder: Path, _: pytest.MonkeyPatch) -> None:
    info = folder / "training" / "patient002" / "Info.cfg"
    info.write_text(info.read_text().replace("ED: 1\n", "ED: 9\n").replace("ES: 9\n", "ES: 1\n"))


def voxel(name: str, key: str = "image") -> Callable[..., Changed]:
    """Change the first voxel of an array by one, whatever the type of the file."""

    def change(folder: Path, _: pytest.MonkeyPatch) -> None:
        path = folder / name
        if path.suffix == ".h5":
            with h5py.File(path, "r+") as file:
                file[key][(0,) * file[key].ndim] += 1
        elif path.suffix == ".npz":
            with np.load(path) as file:
                arrays = dict(file)
            arrays[key].flat[0] += 1
            save_npz(path, **arrays)
        else:
            nifti = load_nifti(path)
            array = np.asanyarray(nifti.dataobj).copy()
            array.flat[0] += 1
            nibabel.Nifti1Image(array, nifti.affine).to_filename(path)

    return change


def spacing(folder: Path, _: pytest.MonkeyPatch) -> None:
    for name in ("patient002_frame01.nii.gz", "patient002_frame01_gt.nii.gz"):
        path = folder / "training" / "patient002" / name
        nifti = load_nifti(path)
        nibabel.Nifti1Image(np.asanyarray(nifti.dataobj), nifti.affine @ np.diag([2, 2, 1, 1])).to_filename(path)


def oblique(folder: Path, _: pytest.MonkeyPatch) -> None:
    """Cut a case along the axis that is nearest to the patient's left."""
    for name in ("imagesTr/b_0000.nii.gz", "labelsTr/b.nii.gz"):
        array = np.asanyarray(load_nifti(folder / name).dataobj)
        nibabel.Nifti1Image(array, short_axis((-0.8, 0.5, -0.4))).to_filename(folder / name)


def other_film(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / "training" / "patient001" / "patient001_4d.nii.gz").write_bytes(b"another film")


def absent_patients(folder: Path, _: pytest.MonkeyPatch) -> None:
    with (folder / "split.csv").open("a") as file:
        file.writelines(f"patient{number:03d},test\n" for number in range(20, 60))


def other_split_name(folder: Path, _: pytest.MonkeyPatch) -> Changed:
    return {"split": str(shutil.copy(folder / "split.csv", folder / "of_mine.csv"))}


def other_order(folder: Path, _: pytest.MonkeyPatch) -> None:
    """Number the labels of the case outside the split in another order; its volume is one of those measured."""
    transunet(folder / "other", "cascade", numbers=(5, 8))
    shutil.move(folder / "other" / "test_vol_h5" / "case0008.npy.h5", folder / "test_vol_h5" / "case0008.npy.h5")
    shutil.rmtree(folder / "other")


def other_folder(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / "training").rename(folder / "testing")


def one_folder_further(folder: Path, _: pytest.MonkeyPatch) -> Changed:
    return {"source": str(folder / "btcv")}


def set_to(**values: Any) -> Callable[..., Changed]:
    return lambda folder, patch: values


def of_the_package(module: Any, name: str, old: str, new: str) -> Callable[..., Changed]:
    """Replace text in a file of dainet/protocol."""

    def change(folder: Path, patch: pytest.MonkeyPatch) -> None:
        copied = folder.parent / "protocol"
        shutil.copytree(Path(protocol.__file__).parent, copied)
        text(name, old, new)(copied, patch)
        patch.setattr(module, "files", lambda package: copied)

    return change


class Row(NamedTuple):
    """One change of one file or setting of a data set, and whether it gives another key."""

    form: str
    what: str
    change: Callable[[Path, pytest.MonkeyPatch], Changed]
    new_key: bool


INFO, FRAME = "training/patient002/Info.cfg", "training/patient002/patient002_frame01"
OUTSIDE = "training/patient004/"
ROWS = [
    Row("raw ACDC", "Info.cfg: ED and ES exchanged", exchange_phases, True),
    Row("raw ACDC", "Info.cfg: group", text(INFO, "DCM", "RV"), True),
    Row("raw ACDC", "Info.cfg: number of frames", text(INFO, "30", "28"), False),
    Row("raw ACDC", "image", voxel(f"{FRAME}.nii.gz"), True),
    Row("raw ACDC", "label", voxel(f"{FRAME}_gt.nii.gz"), True),
    Row("raw ACDC", "voxel edges in the header", spacing, True),
    Row("raw ACDC", "4-D film", other_film, False),
    Row("raw ACDC", "image outside the split", voxel(f"{OUTSIDE}patient004_frame01.nii.gz"), False),
    Row("raw ACDC", "Info.cfg outside the split", text(f"{OUTSIDE}Info.cfg", "DCM", "RV"), False),
    Row("raw ACDC", "split: a patient more", text("split.csv", "split\n", "split\npatient004,valid\n"), True),
    Row(
        "raw ACDC", "split: exchanged", text("split.csv", "1,train\npatient002,test", "2,train\npatient001,test"), True
    ),
    Row("raw ACDC", "split: absent patients", absent_patients, False),
    Row("raw ACDC", "split: under another name", other_split_name, False),
    Row("raw ACDC", "folder between", other_folder, False),
    Row("raw ACDC", "window", set_to(window_hu=(-100, 200)), False),
    Row("raw ACDC", "order of labels", set_to(label_order="cascade"), False),
    Row("raw ACDC", "number of phantoms", set_to(phantom_patients=7), False),
    Row("raw ACDC", "normalization by its name", set_to(normalization="minmax"), False),
    Row("raw ACDC", "all training patients by number", set_to(train_patients=1), False),
    Row("raw ACDC", "other normalization", set_to(normalization="percentile"), True),
    Row(
        "raw ACDC, published split",
        "acdc_splits.csv: a patient moved",
        of_the_package(protocol, "acdc_splits.csv", "patient001,train", "patient001,valid"),
        True,
    ),
    Row(
        "raw ACDC, published split",
        "acdc_splits.csv: an absent patient moved",
        of_the_package(protocol, "acdc_splits.csv", "patient005,train", "patient005,test"),
        False,  # but the number of patients in the note is another
    ),
    Row("SSL4MIS volumes", "image", voxel("patient001_frame01.h5"), True),
    Row("SSL4MIS volumes", "label", voxel("patient001_frame01.h5", "label"), True),
    Row("SSL4MIS volumes", "the same volume as slices", voxel("slices/patient001_frame01_slice_1.h5"), False),
    Row("SSL4MIS and a table", "edge", text("edges.csv", "patient002,1.5", "patient002,1.4"), True),
    Row("SSL4MIS and a table", "edge outside the split", text("edges.csv", "patient004,1.5", "patient004,1.4"), False),
    Row("SSL4MIS and a table", "a column that is not read", text("edges.csv", "8,72", "8,73"), False),
    Row("SSL4MIS and a table", "no table", set_to(spacing=""), True),
    Row("SSL4MIS slices", "image of a slice", voxel("patient001_frame01_slice_3.h5"), True),
    Row("SSL4MIS slices", "label of a slice", voxel("patient001_frame01_slice_3.h5", "label"), True),
    Row("MT-UNet", "image of a slice", voxel("train/case_001_sliceED_3.npz", "img"), True),
    Row("MT-UNet", "label of a volume", voxel("test/case_002_volume_ES.npz", "label"), True),
    Row("raw BTCV", "image", voxel("btcv/img/img0001.nii.gz"), True),
    Row("raw BTCV", "source one folder further", one_folder_further, False),
    Row("raw BTCV", "label", voxel("btcv/label/label0001.nii.gz"), True),
    Row("raw BTCV", "image outside the split", voxel("btcv/img/img0003.nii.gz"), False),
    Row("raw BTCV", "slice axis by its name", set_to(slice_axis="superior"), False),
    Row("raw BTCV", "other slice axis", set_to(slice_axis="x"), True),
    Row("TransUNet", "image of a slice", voxel("train_npz/case0005_slice003.npz"), True),
    Row("TransUNet", "label of a volume", voxel("test_vol_h5/case0001.npy.h5", "label"), True),
    Row("TransUNet", "order of the labels outside the split", other_order, False),
    Row("TransUNet", "window", set_to(window_hu=(-100, 200)), True),
    Row("TransUNet", "order of labels by its name", set_to(label_order="transunet"), True),  # the evidence is another
    Row(
        "TransUNet",
        "synapse_labels.csv: an order that this copy does not have",
        of_the_package(label_order, "synapse_labels.csv", "Gallbladder,4,2,4,4", "Gallbladder,4,2,9,4"),
        True,
    ),
    Row("nnU-Net", "image", voxel("imagesTr/a_0000.nii.gz"), True),
    Row("nnU-Net", "slice axis by its name", set_to(slice_axis="z"), False),
    Row("nnU-Net", "other slice axis", set_to(slice_axis="y"), True),
    Row("nnU-Net", "an oblique affine", oblique, True),
    Row("nnU-Net", "label", voxel("labelsTr/a.nii.gz"), True),
    Row("nnU-Net", "dataset.json: name of a class", text("dataset.json", "ring", "wall"), True),
    Row("nnU-Net", "dataset.json: CT", text("dataset.json", "MRI", "CT"), True),
    Row("nnU-Net", "dataset.json: color", text("dataset.json", '{"ch', '{"colors": {"rim": "#00ff00"}, "ch'), True),
    Row(
        "nnU-Net",
        "dataset.json: number of volumes",
        text("dataset.json", '"numTraining": 3', '"numTraining": 4'),
        False,
    ),
]


def outcome(values: dict[str, Any], runs: Path, patch: pytest.MonkeyPatch) -> tuple[str, Any]:
    """Return the key of the prepared store, and everything that is read from it or printed about it."""
    patch.setenv("DAINET_RUNS", str(runs))
    prepared = run_prepared(DataSettings.model_validate(values), 32)
    return prepared.result.key, (prepared.result.record()["files"], prepared.about)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.form}: {row.what}")
def test_a_changed_file_changes_the_key_or_not_the_result(
    row: Row, written: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(written(row.form), tmp_path / "data")
    values = settings_of(row.form, tmp_path / "data")
    before, _ = outcome(values, tmp_path / "used", monkeypatch)
    values |= row.change(tmp_path / "data", monkeypatch) or {}
    after, found = outcome(values, tmp_path / "used", monkeypatch)
    assert found == outcome(values, tmp_path / "empty", monkeypatch)[1]
    assert (after != before) == row.new_key
