from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from dainet.data.prepared import Prepared
from dainet.device import choose_device
from dainet.segmentation.slices import SliceData
from dainet.segmentation.stage import run_segmentation
from dainet.segmentation.training import mean_volume_dsc, poly_factor, train
from dainet.settings import AttentionSettings, Settings
from tests.helpers.training import equal, small_network, train_until, trained_weights


@pytest.fixture
def plain(prepared: Prepared) -> SliceData:
    return SliceData(prepared, None, AttentionSettings(), choose_device("cpu"))


def test_poly_decay_is_the_peers_formula() -> None:
    assert [poly_factor(step, 10) for step in (0, 5, 10)] == [1, 0.5**0.9, 0]


def test_inputs_are_what_the_network_takes(data: SliceData) -> None:
    image, maps = data.inputs(torch.tensor([0, 5]))
    assert image.shape == (2, 1, 32, 32)
    assert maps.shape == (2, 3, 32, 32)
    assert maps.amin() == 0
    assert maps.amax() == 1


def test_maps_of_other_data_are_refused(prepared: Prepared, data: SliceData) -> None:
    shorter = replace(prepared, images=prepared.images[:-1], labels=prepared.labels[:-1])
    with pytest.raises(ValueError, match=r"36 .*maps.*35 slices"):
        SliceData(shorter, data.attention, AttentionSettings(), data.device)


def test_training_learns_and_leaves_its_record(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path
) -> None:
    settings = tiny.segmentation.model_copy(update={"epochs": 20, "patience": 20, "lr": 0.03, "augment": False})
    train(small_network(), settings, 0, prepared, data, tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    assert list(history["epoch"]) == list(range(1, 21))
    assert history["loss"].iloc[-1] < 0.5 * history["loss"].iloc[0]
    assert history["dsc"].max() > 3 * history["dsc"].min()
    assert {path.name for path in tmp_path.iterdir()} >= {"model.safetensors", "selection.json", "history.csv"}


def test_the_same_seed_gives_the_same_network(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        folder.mkdir()
        train(small_network(), tiny.segmentation, seed, prepared, data, folder)
    assert equal(trained_weights(folders[0]), trained_weights(folders[1]))
    assert not equal(trained_weights(folders[0]), trained_weights(folders[2]))


def test_an_interrupted_training_ends_like_an_undisturbed_one(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path
) -> None:
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    straight.mkdir()
    resumed.mkdir()
    train(small_network(), tiny.segmentation, 0, prepared, data, straight)
    train_until(2, tiny.segmentation, prepared, data, resumed)
    train(small_network(seed=7), tiny.segmentation, 0, prepared, data, resumed)  # other initial weights do not matter
    assert equal(trained_weights(straight), trained_weights(resumed))
    assert (straight / "history.csv").read_text() == (resumed / "history.csv").read_text()


def fake_scores(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    scores = iter(values)
    monkeypatch.setattr("dainet.segmentation.training.mean_volume_dsc", lambda *args: next(scores))


@pytest.mark.parametrize(
    ("selection", "patience", "chosen", "run"),
    [("validation", 10, 2, 5), ("validation", 2, 2, 4), ("last", 1, 5, 5), ("peer-on-test", 10, 2, 5)],
)
def test_selection_and_early_stopping(
    tiny: Settings,
    prepared: Prepared,
    data: SliceData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    selection: str,
    patience: int,
    chosen: int,
    run: int,
) -> None:
    fake_scores(monkeypatch, [0.1, 0.5, 0.4, 0.5, 0.3])
    settings = tiny.segmentation.model_copy(update={"selection": selection, "patience": patience, "epochs": 5})
    train(small_network(), settings, 0, prepared, data, tmp_path)
    record = pd.read_json(tmp_path / "selection.json", typ="series")
    assert (record["rule"], record["epoch"], record["epochs_run"]) == (selection, chosen, run)
    assert record["split"] == ("test" if selection == "peer-on-test" else "valid")


def test_selecting_without_validation_volumes_is_refused(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path
) -> None:
    cases = prepared.cases.replace({"split": {"valid": "train"}})
    without = replace(prepared, cases=cases)
    with pytest.raises(ValueError, match=r"segmentation.selection=last"):
        train(small_network(), tiny.segmentation, 0, without, data, tmp_path)


def test_an_infinite_loss_stops_with_advice(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path
) -> None:
    model = small_network()
    with torch.no_grad():
        model.get_parameter("head.bias")[0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"epoch 1.*segmentation.lr"):
        train(model, tiny.segmentation, 0, prepared, data, tmp_path)


def test_a_unets_key_does_not_depend_on_maps(
    tiny: Settings, prepared: Prepared, plain: SliceData, data: SliceData
) -> None:
    unet = run_segmentation(tiny, "unet", 0, plain)
    assert "attention" not in unet.record()["inputs"]
    single = run_segmentation(tiny, "single", 0, data)
    assert single.record()["inputs"]["attention"] == data.attention.key


def test_mean_volume_dsc_by_hand(prepared: Prepared, plain: SliceData) -> None:
    class Constant(torch.nn.Module):
        """Predicts class 1 everywhere."""

        head = torch.nn.Conv2d(1, 4, 1)

        def forward(self, image: Tensor, maps: Tensor | None) -> Tensor:
            logits = torch.zeros(len(image), 4, *image.shape[-2:])
            logits[:, 1] = 1
            return logits

    expected = []
    for rows in prepared.volumes("valid").values():
        label = prepared.labels[rows]
        expected += [2 * (label == 1).sum() / ((label == 1).sum() + label.size), 0, 0]
    assert mean_volume_dsc(Constant(), plain, prepared.volumes("valid")) == pytest.approx(np.mean(expected))
    assert np.isnan(mean_volume_dsc(Constant(), plain, {}))


def test_compiling_is_asked_for_by_a_setting(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's compiler takes a minute; what it is handed must train as before."""
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda model: compiled.append(model))
    for wanted in (False, True):
        settings = tiny.segmentation.model_copy(update={"epochs": 1, "compile": wanted})
        (tmp_path / str(wanted)).mkdir()
        train(small_network(), settings, 0, prepared, data, tmp_path / str(wanted))
    assert len(compiled) == 1
    assert equal(trained_weights(tmp_path / "False"), trained_weights(tmp_path / "True"))
