"""Abdominal CT in every circulating format is read back as it was written, and its label order is found."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from dainet.data.phantoms.abdomen import write_abdomen_phantoms
from dainet.data.volume import DataError
from tests.helpers.formats import abdomen, case_ids, save_nifti, source, transunet
from tests.helpers.samples import discs


def test_raw_btcv(tmp_path: Path) -> None:
    write_abdomen_phantoms(tmp_path, 3, size=48)
    data = source(tmp_path, "synapse")
    assert case_ids(data) == ["case0001", "case0002", "case0003"]
    assert data.is_ct
    volume = data.read(data.cases[0])
    image, label = abdomen(1)
    np.testing.assert_array_equal(volume.image, image)  # turned upright by the affine
    np.testing.assert_array_equal(volume.label, label)  # 13 organs became 8
    assert data.label_evidence[0] == "btcv"


def test_transunet_is_read_back_to_hounsfield_units(tmp_path: Path) -> None:
    transunet(tmp_path)
    data = source(tmp_path, "synapse")
    assert case_ids(data) == ["case0001", "case0005"]
    for case, number in zip(data.cases, (1, 5), strict=True):
        volume = data.read(case)
        image, label = abdomen(number)
        np.testing.assert_allclose(volume.image, np.clip(image, -125, 275), atol=1e-3)
        np.testing.assert_array_equal(volume.label, label)


@pytest.mark.parametrize("order", ["transunet", "cascade", "samed", "btcv"])
def test_the_label_order_of_a_copy_is_detected(tmp_path: Path, order: str) -> None:
    transunet(tmp_path, order)
    data = source(tmp_path, "synapse")
    assert data.label_evidence[0] == order
    np.testing.assert_array_equal(data.read(data.cases[0]).label, abdomen(1)[1])


def test_a_contradicting_label_order_is_an_error_with_evidence(tmp_path: Path) -> None:
    transunet(tmp_path, "transunet")
    data = source(tmp_path, "synapse", label_order="cascade")
    with pytest.raises(DataError, match=r"(?i)liver"):
        data.read(data.cases[0])


@pytest.mark.parametrize(("low", "high", "fits"), [(-0.4, 1.4, True), (-0.6, 1.0, False), (0.0, 1.6, False)])
def test_copies_may_overshoot_their_window_a_little(tmp_path: Path, low: float, high: float, fits: bool) -> None:
    transunet(tmp_path)
    with h5py.File(tmp_path / "test_vol_h5" / "case0001.npy.h5", "a") as file:
        file["image"][0, 0, :2] = low, high
    data = source(tmp_path, "synapse")
    if fits:
        assert data.read(data.cases[0]).image[0, 0, :2] == pytest.approx([400 * low - 125, 400 * high - 125])
    else:
        with pytest.raises(DataError, match=r"case0001.*0 to 1"):
            data.read(data.cases[0])


def test_wrongly_scaled_copies_are_refused(tmp_path: Path) -> None:
    transunet(tmp_path)
    with h5py.File(tmp_path / "test_vol_h5" / "case0001.npy.h5", "a") as file:
        file["image"][...] *= 255
    data = source(tmp_path, "synapse")
    with pytest.raises(DataError, match=r"case0001.*255.*0 to 1"):
        data.read(data.cases[0])


@pytest.mark.parametrize(("number", "missed"), [("0060", True), ("0061", False), ("0080", False), ("0081", True)])
def test_of_btcv_only_61_to_80_have_no_labels(tmp_path: Path, number: str, missed: bool) -> None:
    write_abdomen_phantoms(tmp_path, 1, size=48)
    save_nifti(tmp_path / "img" / f"img{number}.nii.gz", discs(0)[0])
    problems = source(tmp_path, "synapse").problems
    assert [(problem.patient, f"label{number}" in str(problem)) for problem in problems] == [
        (f"case{number}", True)
    ] * missed


def test_btcvs_unlabeled_test_images_are_left_alone(tmp_path: Path) -> None:
    write_abdomen_phantoms(tmp_path, 1, size=48)
    save_nifti(tmp_path / "img" / "img0061.nii.gz", discs(0)[0])
    assert case_ids(source(tmp_path, "synapse")) == ["case0001"]
