import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dainet.data.prepared import Prepared, run_prepared
from dainet.device import choose_device
from dainet.errors import InputError
from dainet.segmentation import step, training
from dainet.segmentation.augment import random_transforms, transform
from dainet.segmentation.catalog import build
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.slices import SliceData
from dainet.segmentation.step import augmented_batch, poly_factor
from dainet.segmentation.training import mean_volume_dsc, monitored_volumes, train
from dainet.settings import AttentionSettings, Settings
from tests.helpers.training import equal, small_network, train_until, trained_weights


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


def test_the_history_holds_the_rate_after_each_epoch_and_the_monitored_dsc(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_scores(monkeypatch, [0.25, 0.5, 0.125])
    train(small_network(), tiny.segmentation.model_copy(update={"lr": 0.02}), 0, prepared, data, tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["dsc"].tolist() == [0.25, 0.5, 0.125]
    np.testing.assert_allclose(history["lr"], [0.02 * (2 / 3) ** 0.9, 0.02 * (1 / 3) ** 0.9, 0])


@pytest.mark.parametrize("augment", [True, False])
def test_an_epoch_trains_on_every_row_once_in_another_order_each_time(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, augment: bool
) -> None:
    batches: list[Tensor] = []

    def watched(data: SliceData, rows: Tensor, matrices: Tensor | None) -> Any:
        batches.append(rows)
        assert (matrices is None) == (not augment)
        assert matrices is None or matrices.shape == (len(rows), 2, 2)
        return augmented_batch(data, rows, matrices)

    monkeypatch.setattr(step, "augmented_batch", watched)
    rows = prepared.rows("train")
    settings = tiny.segmentation.model_copy(update={"epochs": 2, "batch_size": 7, "augment": augment})
    train(small_network(), settings, 3, prepared, data, tmp_path)
    assert [len(batch) for batch in batches] == 2 * [7, 7, 7, 3]
    for epoch, part in enumerate((batches[:4], batches[4:])):
        stream = torch.Generator().manual_seed(3 * 100_003 + epoch)  # no two seeds share an epoch's numbers
        assert torch.cat(part).tolist() == rows[torch.randperm(len(rows), generator=stream)].tolist()


@pytest.mark.parametrize("dice", ["squared", "eq5"])
def test_the_loss_of_an_epoch_is_the_mean_over_its_slices(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path, dice: str
) -> None:
    """With a rate of 0 and one slice per batch it is the mean of the slices' losses; batch norm sees one slice."""
    rows = prepared.rows("train")
    expected = [
        segmentation_loss(small_network().train()(*data.inputs(row)), data.labels[row].long(), dice).item()
        for row in torch.as_tensor(rows).split(1)
    ]
    changes = {"epochs": 1, "batch_size": 1, "lr": 0.0, "augment": False, "dice": dice}
    train(small_network(), tiny.segmentation.model_copy(update=changes), 0, prepared, data, tmp_path)
    assert pd.read_csv(tmp_path / "history.csv")["loss"].item() == pytest.approx(np.mean(expected), rel=2e-2)


def test_a_step_of_one_slice_that_batch_norm_refuses_is_one_line(tiny: Settings, tmp_path: Path) -> None:
    """At 16 px a U-Net ends with a single pixel, and 24 slices in batches of 23 leave one slice."""
    prepared = run_prepared(tiny.data, 16)
    plain = SliceData(prepared, None, AttentionSettings(), choose_device("cpu"))
    settings = tiny.segmentation.model_copy(update={"image_size": 16, "batch_size": 23, "epochs": 1})
    with pytest.raises(InputError, match=r"16 px.*batch_size"):
        train(build("unet", width=4), settings, 0, prepared, plain, tmp_path)
    train(build("unet", width=4), settings.model_copy(update={"batch_size": 22}), 0, prepared, plain, tmp_path)


@pytest.mark.parametrize("with_maps", [True, False])
def test_image_maps_and_label_of_a_batch_are_transformed_together(
    data: SliceData, plain: SliceData, with_maps: bool
) -> None:
    source, rows = data if with_maps else plain, torch.arange(12)
    matrices = random_transforms(12, torch.Generator().manual_seed(0))
    image, maps = source.inputs(rows)
    found = augmented_batch(source, rows, matrices)
    assert torch.equal(found[0], transform(image, matrices))
    assert torch.equal(found[2], transform(source.labels[rows][:, None], matrices)[:, 0].long())
    assert not torch.equal(found[2], source.labels[rows].long())
    if with_maps:
        assert torch.equal(found[1], transform(maps, matrices))
    untouched = augmented_batch(source, rows, None)
    assert torch.equal(untouched[0], image)
    assert torch.equal(untouched[2], source.labels[rows].long())
    assert untouched[1] is None if not with_maps else torch.equal(untouched[1], maps)


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


def fake_scores(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> list[dict[str, Tensor]]:
    """Replace the monitored DSC of each epoch; returns the list into which the weights of each epoch are copied."""
    scores, weights = iter(values), list[dict[str, Tensor]]()

    def score(model: nn.Module, *rest: Any) -> float:
        weights.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return next(scores)

    monkeypatch.setattr("dainet.segmentation.training.mean_volume_dsc", score)
    return weights


def test_weights_chosen_before_an_interruption_stay_chosen(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fake_scores(monkeypatch, [0.5, 0.4])
    with pytest.raises(StopIteration):  # in epoch 3
        train(small_network(), tiny.segmentation, 0, prepared, data, tmp_path)
    fake_scores(monkeypatch, [0.3])
    train(small_network(seed=7), tiny.segmentation, 0, prepared, data, tmp_path)
    assert equal(trained_weights(tmp_path), before[0])


NAN = float("nan")


@pytest.mark.parametrize(
    ("selection", "patience", "scores", "chosen", "run"),
    [
        ("validation", 10, [0.1, 0.5, 0.4, 0.5, 0.3], 2, 5),
        ("validation", 2, [0.1, 0.5, 0.4, 0.5, 0.3], 2, 4),
        ("validation", 3, [0.1, 0.5, 0.4, 0.5, 0.3], 2, 5),
        ("last", 1, [0.1, 0.5, 0.4, 0.5, 0.3], 5, 5),
        ("peer-on-test", 10, [0.1, 0.5, 0.4, 0.5, 0.3], 2, 5),
        ("validation", 10, [NAN, 0.0, NAN, 0.2, NAN], 4, 5),
        ("validation", 2, [0.0, NAN, NAN, 0.2, NAN], 1, 3),
    ],
)
def test_selection_and_early_stopping(
    tiny: Settings,
    prepared: Prepared,
    data: SliceData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    selection: str,
    patience: int,
    scores: list[float],
    chosen: int,
    run: int,
) -> None:
    weights = fake_scores(monkeypatch, scores)
    settings = tiny.segmentation.model_copy(update={"selection": selection, "patience": patience, "epochs": 5})
    train(small_network(), settings, 0, prepared, data, tmp_path)
    record = pd.read_json(tmp_path / "selection.json", typ="series")
    assert (record["rule"], record["epoch"], record["epochs_run"]) == (selection, chosen, run)
    assert record["split"] == ("test" if selection == "peer-on-test" else "valid")
    assert record["dsc"] == pytest.approx(scores[chosen - 1])
    assert equal(trained_weights(tmp_path), weights[chosen - 1])
    assert not equal(weights[chosen - 1], weights[chosen - 2])
    kept_last = tmp_path / "last.safetensors"
    assert kept_last.exists() == (selection != "last")
    assert selection == "last" or equal(load_file(kept_last), weights[run - 1])


def test_the_record_of_a_training_without_validation_volumes_is_json(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path
) -> None:
    cases = prepared.cases.assign(split=prepared.cases["split"].replace("valid", "train"))
    settings = tiny.segmentation.model_copy(update={"selection": "last", "epochs": 1})
    train(small_network(), settings, 0, replace(prepared, cases=cases), data, tmp_path)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    record = json.loads((tmp_path / "selection.json").read_text(), parse_constant=refuse)
    assert record["dsc"] is None


def test_selecting_without_validation_volumes_is_refused(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path
) -> None:
    cases = prepared.cases.replace({"split": {"valid": "train"}})
    without = replace(prepared, cases=cases)
    with pytest.raises(ValueError, match=r"segmentation.selection=last"):
        train(small_network(), tiny.segmentation, 0, without, data, tmp_path)


def test_selecting_by_volumes_without_a_labeled_voxel_is_refused(tiny: Settings, prepared: Prepared) -> None:
    labels = np.array(prepared.labels)
    labels[prepared.rows("valid")] = 0
    empty = replace(prepared, labels=labels)
    with pytest.raises(InputError, match=r"2 volumes.*segmentation\.selection=last"):
        monitored_volumes(tiny.segmentation, empty)
    for selection in ("last", "peer-on-test"):
        settings = tiny.segmentation.model_copy(update={"selection": selection})
        assert len(monitored_volumes(settings, empty)) == 2


def test_an_infinite_loss_stops_with_advice(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path
) -> None:
    model = small_network()
    with torch.no_grad():
        model.get_parameter("head.bias")[0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"epoch 1.*segmentation.lr"):
        train(model, tiny.segmentation, 0, prepared, data, tmp_path)


def test_mean_volume_dsc_by_hand(prepared: Prepared, plain: SliceData) -> None:
    class Constant(nn.Module):
        """Predicts class 1 everywhere."""

        head = nn.Conv2d(1, 4, 1)

        def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
            logits = torch.zeros(len(image), 4, *image.shape[-2:])
            logits[:, 1] = 1
            return logits

    expected = []
    for rows in prepared.volumes("valid").values():
        label = prepared.labels[rows]
        expected += [2 * (label == 1).sum() / ((label == 1).sum() + label.size), 0, 0]
    assert mean_volume_dsc(Constant(), plain, prepared.volumes("valid")) == pytest.approx(np.mean(expected))
    assert np.isnan(mean_volume_dsc(Constant(), plain, {}))


def test_a_class_that_a_volume_lacks_does_not_count_in_the_monitored_dsc(
    monkeypatch: pytest.MonkeyPatch, plain: SliceData
) -> None:
    scores = torch.tensor([[0.5, NAN, 1.0], [0.25, NAN, NAN]])
    monkeypatch.setattr(training, "volume_dsc", lambda *args: scores)
    volumes = {"a": np.arange(3), "b": np.arange(3, 6)}
    assert mean_volume_dsc(nn.Identity(), plain, volumes) == pytest.approx((0.5 + 1.0 + 0.25) / 3)


def test_compiling_is_asked_for_by_a_setting(
    tiny: Settings, prepared: Prepared, data: SliceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's compiler takes a minute; what it is handed must train as before."""
    compiled = []

    def note(function: Any, **_: Any) -> Any:
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", note)
    for wanted in (False, True):
        settings = tiny.segmentation.model_copy(update={"epochs": 1, "compile": wanted})
        (tmp_path / str(wanted)).mkdir()
        train(small_network(), settings, 0, prepared, data, tmp_path / str(wanted))
    assert len(compiled) == 1
    assert equal(trained_weights(tmp_path / "False"), trained_weights(tmp_path / "True"))
