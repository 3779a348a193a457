"""The explorer without a browser: the effect of every control."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from medpy.metric.binary import dc
from numpy import float64

from dainet import pipeline
from dainet.attention.controls import donor_rows
from dainet.explorer import Explorer, explorable
from dainet.explorer.predictor import Predictor
from dainet.segmentation.cuts import CutNetwork, Way
from dainet.segmentation.slices import SliceData
from dainet.settings import Settings, load_settings
from dainet.vit.model import DinoViT, save_vit
from tests.helpers.explorer import table


def expected(
    settings: Settings,
    name: str,
    row: int,
    volume: np.ndarray,
    change: Callable[[CutNetwork], None] = lambda cut: None,
    source: str = "finetuned",
) -> dict[str, object]:
    """DSC of slice and volume by medpy, from the trained network and its own loader."""
    maps = settings.model_copy(update={"attention": settings.attention.model_copy(update={"backbone": source})})
    data = pipeline.slice_data(maps, with_maps=name != "unet")
    network = CutNetwork(pipeline.train(settings, name, seed=0).model)
    change(network)
    return {
        title: pytest.approx(dsc(data, network, rows))
        for title, rows in (("this slice", [row]), ("this volume", volume))
    }


def dsc(data: SliceData, network: torch.nn.Module, rows: list[int] | np.ndarray) -> list[float64]:
    """One slice at a time, as the explorer does: in bfloat16 the size of a batch can turn a pixel."""
    predicted = np.concatenate([data.predict(network, np.array([row])).numpy() for row in rows])
    label = data.labels[torch.tensor(rows)].numpy()
    return [dc(predicted == number, label == number) for number in (1, 2, 3)]


def test_it_opens_at_a_test_patient_with_everything_on(explorer: Explorer, settings: Settings) -> None:
    controls = explorer.controls
    assert controls.patient.value == "patient002"
    assert controls.slice.max == 3
    assert [label for label, _ in controls.phase.options] == ["ED", "ES"]
    volume = explorer.predictor.rows(controls.phase.value)
    assert explorer.scores == expected(settings, "dual-1111", explorer.row, volume)
    assert all(0.8 < value < 1 for value in explorer.scores["this volume"])  # worth comparing
    assert explorer.view.message.value == ""
    assert explorer.view.train.layout.display == "none"


@pytest.mark.parametrize("number", range(4))
def test_a_skip_cut_at_inference(explorer: Explorer, settings: Settings, number: int) -> None:
    explorer.controls.skips[number].value = False
    volume = explorer.predictor.rows(explorer.controls.phase.value)

    def cut(network: CutNetwork) -> None:
        network.skips_on = tuple(i != number for i in range(4))  # (1) is the deepest

    assert explorer.scores == expected(settings, "dual-1111", explorer.row, volume, cut)


def test_switch_1_is_full_resolution_where_the_settings_say_so(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path))
    shallow = settings.segmentation.model_copy(update={"switch_order": "shallow-first", "epochs": 1})
    settings = settings.model_copy(update={"segmentation": shallow})
    pipeline.train(settings, "dual-1111", seed=0)
    explorer = Explorer({"discs": settings})
    explorer.controls.skips[0].value = False
    volume = explorer.predictor.rows(explorer.controls.phase.value)

    def cut(network: CutNetwork) -> None:
        network.skips_on = (True, True, True, False)

    assert explorer.scores == expected(settings, "dual-1111", explorer.row, volume, cut)


@pytest.mark.parametrize(("title", "name"), [("Single encoder", "single"), ("Dual encoder", "dual-1111")])
def test_a_head_cut_at_inference(explorer: Explorer, settings: Settings, title: str, name: str) -> None:
    explorer.controls.model.label = title
    explorer.controls.heads[2].value = False
    volume = explorer.predictor.rows(explorer.controls.phase.value)

    def cut(network: CutNetwork) -> None:
        network.heads_on = tuple(i != 2 for i in range(6))

    assert explorer.scores == expected(settings, name, explorer.row, volume, cut)
    assert explorer.controls.heads[2].description == "Head 3 off"


def test_maps_of_another_source_go_into_the_same_network(explorer: Explorer, settings: Settings) -> None:
    before = explorer.scores
    explorer.controls.source.label = "random weights"
    volume = explorer.predictor.rows(explorer.controls.phase.value)
    assert explorer.scores == expected(settings, "dual-1111", explorer.row, volume, source="random") != before


def test_the_unet_has_nothing_to_switch(explorer: Explorer, settings: Settings) -> None:
    explorer.controls.model.label = "U-Net"
    volume = explorer.predictor.rows(explorer.controls.phase.value)
    assert explorer.scores == expected(settings, "unet", explorer.row, volume)
    assert all(toggle.disabled for toggle in (*explorer.controls.skips, *explorer.controls.heads))
    explorer.controls.model.label = "Single encoder"
    assert all(toggle.disabled for toggle in explorer.controls.skips)
    assert not any(toggle.disabled for toggle in explorer.controls.heads)


def test_heads_cannot_be_switched_in_a_network_trained_with_them(explorer: Explorer) -> None:
    explorer.controls.heads[0].value = False
    explorer.controls.mode.label = "Trained with this setting"
    assert all(explorer.controls.choice.heads_on)
    assert all(toggle.disabled for toggle in explorer.controls.heads)
    assert explorer.controls.heads[0].description == "Head 1"  # shown as what is computed


@pytest.mark.parametrize("way", ["mean", "other patient"])
def test_a_head_replaced_by_another_map(explorer: Explorer, settings: Settings, way: Way) -> None:
    explorer.controls.instead.value = way
    explorer.controls.heads[2].value = False
    data = pipeline.slice_data(settings, with_maps=True)
    model, maps = pipeline.train(settings, "dual-1111", seed=0).model, data.maps
    network: torch.nn.Module = MeanOfHead3(model) if way == "mean" else model
    if way == "other patient":
        data.maps = maps.clone()
        data.maps[:, 2] = maps[donor_rows(data.prepared.cases.assign(split="any")), 2]
    volume = explorer.predictor.rows(explorer.controls.phase.value)
    assert explorer.scores["this slice"] == pytest.approx(dsc(data, network, [explorer.row]))
    assert explorer.scores["this volume"] == pytest.approx(dsc(data, network, volume))


class MeanOfHead3(torch.nn.Module):
    """The network with its third map replaced by the mean of that map."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        third = torch.full_like(maps[:, 2:3], maps[:, 2].mean().item())  # one slice at a time
        return self.model(image, torch.cat([maps[:, :2], third, maps[:, 3:]], dim=1))


def test_the_stand_in_has_no_effect_while_all_heads_are_on(explorer: Explorer) -> None:
    before = explorer.controls.choice
    explorer.controls.instead.value = "mean"
    assert explorer.controls.choice == before
    explorer.controls.mode.label = "Trained with this setting"
    assert explorer.controls.instead.disabled


def test_what_is_not_computed_is_hidden_or_says_so(
    explorer: Explorer, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert [label for label, _ in explorer.controls.source.options] == [
        "fine-tuned",
        "pre-trained (not computed yet)",
        "random weights",
    ]
    explorer.controls.source.value = "pretrained"
    assert "pre-trained" in explorer.view.message.value
    assert "dual-1111" not in explorer.view.message.value  # that network is there
    explorer.controls.source.value = "finetuned"
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path))
    explorer.controls.dataset.options = [("first", "discs")]
    explorer.open_dataset()
    assert "dainet-nothing" in explorer.view.screen._dom_classes
    assert explorer.view.train.layout.display == ""


def test_a_network_that_was_not_trained_is_offered_in_place(explorer: Explorer) -> None:
    explorer.controls.mode.label = "Trained with this setting"
    explorer.controls.skips[0].value = False
    assert "Not computed yet: dual-0111" in explorer.view.message.value
    assert explorer.view.train.layout.display == ""
    assert "<img" in explorer.view.pictures[1].value
    assert 'class="empty"' in explorer.view.pictures[2].value
    assert set(table(explorer)) == {"…"}
    explorer.controls.skips[0].value = True  # back to one that is there
    assert explorer.view.message.value == ""
    assert "…" not in table(explorer)


def test_data_that_cannot_be_read_are_reported_in_place(settings: Settings, tmp_path: Path) -> None:
    data = settings.data.model_copy(update={"source": str(tmp_path / "nowhere")})
    explorer = Explorer({"good": settings, "bad": settings.model_copy(update={"data": data})})
    explorer.controls.dataset.value = "bad"
    assert "nowhere" in explorer.view.message.value
    assert explorer.view.train.layout.display == "none"
    explorer.controls.skips[0].value = False  # nothing to see, no error either
    explorer.controls.dataset.value = "good"
    assert explorer.view.message.value == ""
    assert "<img" in explorer.view.pictures[2].value


@pytest.mark.parametrize(
    ("file", "stage"),
    [("segmentation/*/model.safetensors", "segmentation"), ("attention/*/attention.npy", "attention")],
)
def test_a_damaged_stage_is_named_and_stops_nothing_else(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, stage: str
) -> None:
    runs = shutil.copytree(os.environ["DAINET_RUNS"], tmp_path / "runs")
    monkeypatch.setenv("DAINET_RUNS", str(runs))
    unet = pipeline.segment(settings, "unet", 0).path
    for path in runs.glob(file):
        if path.parent != unet:
            path.write_bytes(path.read_bytes()[:100])
    explorer = Explorer({"discs": settings})
    assert stage in explorer.view.message.value
    assert 'class="empty"' in explorer.view.pictures[2].value
    explorer.controls.model.label = "U-Net"
    assert "<img" in explorer.view.pictures[2].value
    assert not np.isnan(explorer.scores["this volume"]).any()


def test_in_a_kernel_the_volume_follows_and_gives_way_to_the_next_setting(settings: Settings) -> None:
    async def touch() -> tuple[Any, dict[str, Any], Explorer]:
        explorer = Explorer({"discs": settings})
        first = explorer.scores["this volume"]
        explorer.controls.heads[0].value = False
        await asyncio.sleep(0)  # one slice of the volume, and then the next touch
        explorer.controls.heads[1].value = False
        slice_only = dict(explorer.scores)
        await explorer._volume.task
        return first, slice_only, explorer

    first, slice_only, explorer = asyncio.run(touch())
    assert first is None
    assert slice_only["this volume"] is None
    assert slice_only["this slice"] is not None
    assert explorer.scores["this volume"] is not None
    one_head_off = explorer.compared.before
    assert (
        explorer.predictor.known(one_head_off, explorer.predictor.rows(explorer.controls.phase.value)) is None
    )  # abandoned


def test_a_transformer_with_other_heads_gets_as_many_buttons(settings: Settings, tmp_path: Path) -> None:
    torch.manual_seed(0)
    vit = DinoViT(img_size=32, patch_size=8, embed_dim=24, depth=1, num_heads=3)
    save_vit(vit, tmp_path / "three.safetensors")
    settings = settings.model_copy(
        update={"vit": settings.vit.model_copy(update={"weights": str(tmp_path / "three.safetensors")})}
    )
    pipeline.attention(settings, "pretrained")
    explorer = Explorer({"discs": settings})
    explorer.controls.source.label = "pre-trained"
    assert len(explorer.controls.heads) == len(explorer.view.maps) == 3
    assert "of 3 maps" in explorer.view.network.value


def test_looks_change_pictures_and_nothing_else(explorer: Explorer) -> None:
    scores, pictures = explorer.scores, [html.value for html in explorer.view.pictures]
    explorer.controls.palette.value = "color-blind safe"
    assert [a == b.value for a, b in zip(pictures, explorer.view.pictures, strict=True)] == [True, *[False] * 3, True]
    explorer.controls.opacity.value = 0
    assert explorer.view.pictures[1].value.split('"')[1] == explorer.view.pictures[0].value.split('"')[1]  # same PNG
    maps = [html.value for html in explorer.view.maps]
    explorer.controls.color_map.value = "gray"
    assert all(a != b.value for a, b in zip(maps, explorer.view.maps, strict=True))
    assert explorer.scores == scores


def test_networks_in_memory_are_few(explorer: Explorer, settings: Settings) -> None:
    predictor = Predictor(settings)
    for model in ("U-Net", "Single encoder", "Dual encoder"):
        explorer.controls.model.label = model
        predictor.slice_label(explorer.controls.choice, 0)
    assert len(predictor._networks) == 3


@pytest.mark.parametrize(
    ("overrides", "titles"),
    [
        ({}, ["ACDC phantoms", "Synapse phantoms"]),
        ({"data.dataset": "synapse"}, ["Synapse phantoms", "ACDC phantoms"]),
        ({"data.source": "folder"}, ["ACDC"]),
        ({"data.dataset": "custom", "data.source": "folder"}, ["own data"]),
    ],
)
def test_what_can_be_explored(overrides: dict[str, Any], titles: list[str]) -> None:
    found = explorable("tour", overrides)
    assert list(found) == titles
    assert found[titles[0]] == load_settings("tour", overrides)
