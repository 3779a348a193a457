from pathlib import Path

import numpy as np
import pytest
import torch
from medpy.metric import binary
from torch import Tensor

from dainet.cache.store import run_stage
from dainet.data.prepared import Prepared, run_prepared
from dainet.data.preprocessing import resize_slices
from dainet.device import choose_device
from dainet.segmentation.evaluation import class_dsc, native_dsc, predict_native, read_scores, run_scores, volume_dsc
from dainet.segmentation.metrics import score_volume
from dainet.segmentation.slices import SliceData
from dainet.settings import AttentionSettings, DataSettings
from tests.helpers.formats import nnunet
from tests.helpers.samples import discs

CLASSES = ("RV", "Myo", "LV")


class Thresholds(torch.nn.Module):
    """Reads the class off the gray value, as the fixture's images allow."""

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        edges = torch.tensor([0.15, 0.4, 0.65])
        label = (image[:, 0, ..., None].float() > edges).sum(-1)
        return torch.nn.functional.one_hot(label, 4).movedim(-1, 1).float()


@pytest.fixture
def data(prepared: Prepared) -> SliceData:
    return SliceData(prepared, None, AttentionSettings(), choose_device("cpu"))


def test_predictions_return_to_the_native_grid(prepared: Prepared, data: SliceData) -> None:
    case_id, rows = next(iter(prepared.volumes("test").items()))
    label, _ = prepared.native_label(case_id)
    found = predict_native(Thresholds(), data, rows, label.shape)
    small = [(prepared.images[row].astype(np.float32)[..., None] > [0.15, 0.4, 0.65]).sum(-1) for row in rows]
    np.testing.assert_array_equal(found, resize_slices(np.stack(small), label.shape[1:], order=0))


def test_scores_are_those_of_each_volume_on_its_own(prepared: Prepared, data: SliceData) -> None:
    segmentation = run_stage("segmentation", 1, {}, {}, lambda folder: None)
    frame = read_scores(run_scores(Thresholds(), segmentation, prepared, data))
    assert len(frame) == 2 * 3 * 2  # volumes, classes, policies
    assert set(frame["patient"]) == {"patient002"}
    assert frame.drop_duplicates("case_id").set_index("case_id")["phase"].to_dict() == {
        "patient002_ED": "ED",
        "patient002_ES": "ES",
    }
    for case_id, rows in prepared.volumes("test").items():
        label, _ = prepared.native_label(case_id)
        prediction = predict_native(Thresholds(), data, rows, label.shape)
        expected = score_volume(prediction, label, CLASSES, None)
        np.testing.assert_allclose(frame.loc[frame["case_id"] == case_id, "dsc"], [line["dsc"] for line in expected])
        own = frame[frame["case_id"] == case_id]
        assert own["labeled_voxels"].tolist() == [line["labeled_voxels"] for line in expected]
    assert frame["hd95_mm"].isna().all()
    assert frame["spacing_z_mm"].isna().all()
    assert frame["hd95_vox"].notna().all()
    assert (frame["dsc"] > 0.1).all()


def test_distances_in_millimeters_use_the_spacing_of_the_file(tmp_path: Path) -> None:
    nnunet(tmp_path / "custom", axes="LPS")
    prepared = run_prepared(DataSettings(dataset="custom", source=str(tmp_path / "custom")), 32)
    data = SliceData(prepared, None, AttentionSettings(), choose_device("cpu"))
    segmentation = run_stage("segmentation", 1, {}, {}, lambda folder: None)
    frame = read_scores(run_scores(Thresholds(), segmentation, prepared, data))
    assert set(frame["case_id"]) == {"c"}
    for name, edge in (("z", 10.0), ("y", 1.4), ("x", 1.5)):
        assert frame[f"spacing_{name}_mm"].unique() == pytest.approx(edge)
    image, label = discs(seed=2)
    prediction = predict_native(Thresholds(), data, prepared.rows("test"), image.shape)
    for value, name in enumerate(("core", "ring", "rim"), start=1):
        masks, found = (prediction == value, label == value), frame[frame["class"] == name]
        assert found["policy"].tolist() == ["strict", "peer"]
        assert found["hd95_vox"].tolist() == 2 * [binary.hd95(*masks)]
        assert found["hd95_mm"].to_numpy() == pytest.approx(binary.hd95(*masks, (10, 1.4, 1.5)))
        assert found["assd_mm"].to_numpy() == pytest.approx(binary.assd(*masks, (10, 1.4, 1.5)))


def test_dsc_per_class_is_that_of_whole_volumes(prepared: Prepared, data: SliceData) -> None:
    volumes = prepared.volumes("train")
    found = volume_dsc(Thresholds(), data, volumes)
    assert found.shape == (len(volumes), 3)
    for scores, rows in zip(found, volumes.values(), strict=True):
        prediction, label = data.predict(Thresholds(), rows).numpy(), prepared.labels[rows]
        for value, score in enumerate(scores, start=1):
            assert score.item() == pytest.approx(binary.dc(prediction == value, label == value), abs=1e-6)
    absent = class_dsc(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 2]), 3)
    assert absent[:2].tolist() == pytest.approx([2 / 3, 0.0])
    assert torch.isnan(absent[2])


def test_dsc_of_other_weights_is_that_of_the_scores(prepared: Prepared, data: SliceData) -> None:
    segmentation = run_stage("segmentation", 1, {}, {}, lambda folder: None)
    scores = read_scores(run_scores(Thresholds(), segmentation, prepared, data)).query("policy == 'strict'")
    found = native_dsc(Thresholds(), prepared, data).merge(scores, on=["case_id", "class"], validate="one_to_one")
    assert len(found) == len(scores) == 2 * 3
    assert found["dsc_last_epoch"].to_numpy() == pytest.approx(found["dsc"].to_numpy())


def test_predicting_in_batches_changes_nothing(prepared: Prepared, data: SliceData) -> None:
    rows = prepared.rows("train")
    assert torch.equal(data.predict(Thresholds(), rows, 3), data.predict(Thresholds(), rows, 100))
