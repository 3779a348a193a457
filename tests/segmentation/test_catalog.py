"""Every network by name, and what the training loop does with those that take or give something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dainet import pipeline
from dainet.attention.features import token_features
from dainet.attention.stage import open_attention
from dainet.cache.runs import lineage
from dainet.cache.store import UNFINISHED
from dainet.errors import InputError
from dainet.reporting.work import work_of
from dainet.segmentation import catalog, training
from dainet.segmentation.augment import transform
from dainet.segmentation.baselines.dual_features import DualFeatures
from dainet.segmentation.catalog import BASELINES, build, check_network, takes
from dainet.segmentation.losses import segmentation_loss
from dainet.segmentation.networks import build_paper_network, count_flops
from dainet.segmentation.step import augmented_batch
from dainet.segmentation.training import train
from dainet.settings import Settings
from dainet.vit.model import load_vit, to_vit_input


@pytest.fixture
def settings(tiny: Settings) -> Settings:
    """Return settings with which the ViT need not be fine-tuned first."""
    return tiny.model_copy(update={"attention": tiny.attention.model_copy(update={"backbone": "pretrained"})})


def test_an_unknown_name_is_refused_with_a_known_one() -> None:
    with pytest.raises(InputError, match="dual-features"):
        check_network("dual-feature")


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BASELINES, "lacking", "lacking_library:Network")
    with pytest.raises(InputError, match=r"dainet\[baselines\]"):
        build("lacking")


@pytest.mark.parametrize(
    ("name", "what"), [("unet", "image"), ("single", "maps"), ("dual-0000", "maps"), ("dual-features", "features")]
)
def test_what_a_network_takes(name: str, what: str) -> None:
    assert takes(name) == what


def test_all_other_baselines_take_the_image_alone() -> None:
    assert {takes(name) for name in BASELINES if name != "dual-features"} <= {"image"}


def test_features_are_those_of_timm_without_the_prefix() -> None:
    vit, image = load_vit("tour").eval(), torch.rand(2, 3, 32, 48)
    with torch.inference_mode():
        features, tokens = token_features(vit, image), vit.forward_features(image)
    assert features.shape == (2, vit.embed_dim, 32 // vit.patch, 48 // vit.patch)
    row, column = 1, 2
    torch.testing.assert_close(features[:, :, row, column], tokens[:, 1 + row * (48 // vit.patch) + column])


def test_dual_features_costs_what_the_dual_encoder_costs() -> None:
    network = build("dual-features", heads=6, classes=4, width=4, feature_channels=384)
    dual = build_paper_network("dual-1111", 1, 6, 4, 4)
    count = sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in dual.parameters())
    assert count == 384 * 6 + 6


def test_dual_features_is_the_dual_encoder_on_reduced_and_resized_features() -> None:
    network = DualFeatures(1, 3, 2, 2, 5).eval()
    image, features = torch.rand(1, 1, 32, 32), torch.randn(1, 5, 4, 4)
    weight = network.reduce.weight[:, :, 0, 0]
    reduced = torch.einsum("hd,bdyx->bhyx", weight, features) + network.reduce.bias[:, None, None]
    maps = functional.interpolate(reduced, size=(32, 32), mode="bilinear")
    torch.testing.assert_close(network(image, features), network.dual(image, maps))


def test_features_are_stored_and_reach_the_network(settings: Settings) -> None:
    data = pipeline.network_data(settings, "dual-features")
    vit, row = load_vit("tour").eval(), data.prepared.rows("test")[:1]
    stored, grid = open_attention(data.attention)
    slices = torch.from_numpy(np.array(pipeline.prepare_for_vit(settings).images[row]))[:, None]
    with torch.inference_mode():
        expected = token_features(vit, to_vit_input(slices, grid.vit_size_px))
    image, features = data.inputs(torch.from_numpy(row))
    assert stored.shape[1:] == (vit.embed_dim, *grid.grid)
    assert (data.heads, data.feature_channels) == (vit.heads, vit.embed_dim)
    assert image.shape == (1, 1, 32, 32)
    torch.testing.assert_close(features, expected, atol=0.05, rtol=0.02)  # bfloat16, and stored as float16


def test_features_turn_with_the_image(settings: Settings) -> None:
    data, rows = pipeline.network_data(settings, "dual-features"), torch.tensor([0, 1])
    quarter_turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).expand(2, 2, 2)
    _, features, _ = augmented_batch(data, rows, quarter_turn)
    torch.testing.assert_close(features, torch.rot90(data.inputs(rows)[1], 1, (2, 3)), atol=1e-5, rtol=1e-5)
    nearest = transform(data.inputs(rows)[1], quarter_turn)
    torch.testing.assert_close(features, nearest, atol=1e-5, rtol=1e-5)


def dual_flops(settings: Settings) -> int:
    """Operations of one slice: those of the dual encoder, and 2 x h x D for each token."""
    vit, side = load_vit("tour"), settings.segmentation.image_size
    dual = build_paper_network("dual-1111", 1, vit.heads, 4, settings.segmentation.width).eval()
    maps = torch.zeros(1, vit.heads, side, side)
    tokens = (settings.vit.image_size // vit.patch) ** 2
    return count_flops(lambda: dual(torch.zeros(1, 1, side, side), maps)) + 2 * vit.heads * vit.embed_dim * tokens


def test_a_network_of_features_is_trained_and_scored(settings: Settings) -> None:
    trained = pipeline.train(settings, "dual-features", 0)
    assert set(trained.cases["class"]) == {"RV", "Myo", "LV"}
    records = lineage([trained.scored.key])
    work = {each["stage"]: work_of(key, records, settings) for key, each in records.items()}
    assert work["segmentation"].operations == 3 * work["segmentation"].images * dual_flops(settings)
    assert trained.segmentation.record()["settings"]["maps"] == {"reduced_features": load_vit("tour").heads}


def test_features_have_no_image_control(settings: Settings) -> None:
    attention = settings.attention.model_copy(update={"control": "image"})
    with pytest.raises(InputError, match="other-patient"):
        pipeline.network_data(settings.model_copy(update={"attention": attention}), "dual-features")


class TwoHeads(nn.Module):
    """A network with deep supervision: two outputs, of which the last one predicts."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, classes, 1), nn.Conv2d(1, classes, 3, padding=1)

    def forward(self, image: Tensor, maps: Tensor | None = None) -> list[Tensor]:
        return [self.first(image), self.last(image)]


def test_the_loss_of_several_outputs_is_their_mean() -> None:
    label = torch.randint(3, (2, 8, 8))
    outputs = list(torch.randn(2, 2, 3, 8, 8))
    expected = sum(segmentation_loss(each, label) for each in outputs) / 2
    torch.testing.assert_close(segmentation_loss(outputs, label), expected)


def test_the_last_output_predicts(settings: Settings) -> None:
    data, model = pipeline.network_data(settings, "unet"), TwoHeads(4)
    rows = data.prepared.rows("test")[:3]
    with data.device.autocast():
        expected = model.last(data.inputs(torch.from_numpy(rows))[0]).argmax(1)
    torch.testing.assert_close(data.predict(model, rows).long(), expected)


def test_a_network_with_deep_supervision_is_trained(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BASELINES, "two-heads", "two_heads:TwoHeads")
    monkeypatch.setattr(catalog, "_imported", lambda name: TwoHeads)
    result = pipeline.segment(settings, "two-heads", 0)
    history = result.read("history.csv", lambda path: np.loadtxt(path, delimiter=",", skiprows=1))
    assert history[1, 1] < history[0, 1]  # the loss falls


class Dropping(nn.Module):
    """A network with dropout, in evaluation too if `always`."""

    def __init__(self, classes: int, always: bool = False) -> None:
        super().__init__()
        self.conv, self.always = nn.Conv2d(1, classes, 3, padding=1), always

    def forward(self, image: Tensor, maps: Tensor | None = None) -> Tensor:
        return functional.dropout(self.conv(image), 0.5, training=self.training or self.always)


def test_dropout_of_an_epoch_is_drawn_from_its_seed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BASELINES, "dropping", "dropping:Dropping")
    monkeypatch.setattr(catalog, "_imported", lambda name: Dropping)
    data, model = pipeline.network_data(settings, "dropping"), Dropping(4)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights = []
    for folder, lost in (("whole", 0), ("resumed", 1)):
        (tmp_path / folder / UNFINISHED).mkdir(parents=True)
        model.load_state_dict(start)
        torch.rand(3)  # whatever was drawn before
        for epochs in [1, 2] if lost else [2]:
            short = settings.segmentation.model_copy(update={"epochs": 2, "patience": 9})
            with pytest.MonkeyPatch.context() as patch:
                if epochs == 1:
                    patch.setattr(training, "_finish", lambda *_: None)
                    patch.setattr(training, "_stops_early", lambda history, _: len(history) == 1)
                train(model, short, 7, data.prepared, data, tmp_path / folder)
        weights.append(model.state_dict())
        model = Dropping(4)
    for name in start:
        assert torch.equal(weights[0][name], weights[1][name])


def test_a_network_that_draws_when_it_predicts_predicts_the_same_twice(settings: Settings) -> None:
    data, model = pipeline.network_data(settings, "unet"), Dropping(4, always=True)
    rows, before = data.prepared.rows("test")[:2], torch.get_rng_state()
    assert torch.equal(data.predict(model, rows), data.predict(model, rows))
    assert torch.equal(torch.get_rng_state(), before)
