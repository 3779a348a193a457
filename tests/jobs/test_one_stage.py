"""One stage by name leaves the same entries in the cache as the functions of the pipeline."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dainet import __main__ as command_line
from dainet import pipeline
from dainet.cache import store
from dainet.cache.store import finished_only
from dainet.errors import InputError
from dainet.jobs.one_stage import STAGES, run_named_stage
from dainet.jobs.preflight import check_early
from dainet.settings import Settings, load_settings
from tests.helpers.samples import changed, tiny_overrides


def test_every_stage_is_found_by_the_pipeline(tiny: Settings) -> None:
    by_name = {}
    for name in STAGES:
        network, seed = ("single", 1) if name in ("train", "scores") else (None, None)
        by_name[name] = run_named_stage(tiny, name, network, seed)
    with finished_only():
        trained = pipeline.train(tiny, "single", 1)
        expected = {
            "data": [pipeline.prepare(tiny).result, pipeline.prepare_for_vit(tiny).result],
            "dino": [pipeline.finetune(tiny)],
            "attention": [pipeline.attention(tiny)],
            "train": [trained.segmentation],
            "scores": [trained.scored],
        }
    assert by_name == expected


def test_training_leaves_the_scores_to_their_own_stage(tiny: Settings, runs: Path) -> None:
    run_named_stage(tiny, "train", "unet", 0)
    assert (runs / "segmentation").exists()
    assert not (runs / "scores").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_network_and_seed_reach_the_training(tiny: Settings, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    handed, result = [], store.StageResult("segmentation", "some-key", Path())

    def noted(*arguments: Any) -> store.StageResult:
        handed.append(arguments)
        return result

    monkeypatch.setattr(pipeline, "segment", noted)
    settings = changed(tiny, "segmentation", sync_batch_norm=False).model_copy(update={"n_processes": processes})
    assert run_named_stage(settings, "train", "unet", 0) == [result]
    assert handed == [(settings, "unet", 0)]


@pytest.mark.parametrize(
    ("name", "network", "seed", "words"),
    [
        ("maps", None, None, "maps.*data, dino, attention, train.*scores"),
        ("train", None, 0, "--network.*--seed"),
        ("scores", "unet", None, "--network.*--seed"),
        ("dino", "unet", None, "--network.*--seed.*train.*scores"),
        ("data", None, 0, "--network.*--seed.*train.*scores"),
        ("train", "Unet", 0, "Unet.*unet"),
        ("scores", "dual-0121", 0, "dual-0121.*dual-0111"),
    ],
)
def test_mistakes_are_reported_before_anything_runs(
    tiny: Settings, runs: Path, name: str, network: str | None, seed: int | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        run_named_stage(tiny, name, network, seed)
    assert not runs.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"device": "xpu"}, "xpu"),
        ({"vit.weights": "nowhere.pth"}, "nowhere.pth"),
        ({"segmentation.pretrained": "nowhere.pth"}, "nowhere.pth"),
        ({"vit.weights": "random", "dino.local_size": 8}, "dino.local_size.*8.*16"),
    ],
)
def test_what_would_stop_later_stages_stops_the_first(
    h5_source: Path, runs: Path, change: dict[str, Any], words: str
) -> None:
    settings = load_settings("tour", tiny_overrides(h5_source) | change)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        run_named_stage(settings, "dino", None, None)
    assert not runs.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"device": "cuda"},
        {"vit.weights": "nowhere.pth", "segmentation.pretrained": "nowhere.pth"},
        {"vit.weights": "random", "dino.local_size": 8},
    ],
)
def test_data_need_no_device_and_no_weights(
    h5_source: Path, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run_named_stage(load_settings("tour", tiny_overrides(h5_source) | change), "data", None, None)


@pytest.mark.parametrize("stage", ["data", "dino", "attention"])
def test_a_misspelled_device_is_refused_by_every_stage(h5_source: Path, runs: Path, stage: str) -> None:
    settings = load_settings("tour", tiny_overrides(h5_source) | {"device": "cudaa"})
    with pytest.raises(InputError, match=r"cudaa.*cuda"):
        run_named_stage(settings, stage, None, None)
    assert not runs.exists()


def test_the_size_of_local_crops_does_not_matter_without_them(h5_source: Path) -> None:
    change = {"vit.weights": "random", "dino.local_size": 8}
    overrides = tiny_overrides(h5_source) | change
    with pytest.raises(InputError, match="local_size"):
        check_early(load_settings("tour", overrides))
    check_early(load_settings("tour", overrides | {"dino.local_crops": 0}))


def test_the_unet_needs_no_weights(h5_source: Path) -> None:
    settings = load_settings("tour", tiny_overrides(h5_source) | {"vit.weights": "nowhere.pth"})
    assert run_named_stage(settings, "train", "unet", 0)


def test_the_command_prints_stage_and_key(
    h5_source: Path, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [word for item in tiny_overrides(h5_source).items() for word in ("--set", "{}={}".format(*item))]
    monkeypatch.setattr(sys, "argv", ["dainet", "stage", "train", "--network", "unet", "--seed", "3", *items])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    (printed,) = json.loads(capsys.readouterr().out)
    record = json.loads((runs / printed["stage"] / printed["key"] / "provenance.json").read_text())
    assert stopped.value.code == 0
    assert (record["settings"]["model"], record["settings"]["seed"]) == ("unet", 3)
