"""From scans to scores with the shipped ViT, small enough for a unit test."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from dainet import pipeline
from dainet.attention import stage as attention_stage
from dainet.attention.head_scores import head_scores
from dainet.attention.stage import open_attention
from dainet.cache import store
from dainet.data import prepared as prepared_store
from dainet.dino import stage as dino_stage
from dainet.errors import InputError
from dainet.segmentation import evaluation
from dainet.segmentation import stage as segmentation_stage
from dainet.segmentation.stage import load_model
from dainet.settings import Settings
from dainet.vit.model import DinoViT
from tests.helpers.samples import changed


def test_from_scans_to_scores_and_back_from_the_cache(tiny: Settings, runs: Path) -> None:
    trained = pipeline.train(tiny, "dual-0101", seed=0)
    scores = pipeline.scores([trained, pipeline.train(tiny, "unet", seed=1)])
    assert set(scores["model"]) == {"dual-0101", "unet"}
    assert scores["dsc"].between(0, 1).all()
    stages = {path.name for path in runs.iterdir() if not path.name.startswith(".")}
    assert stages == {"prepared", "dino", "attention", "segmentation", "scores"}
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()}
    again = pipeline.train(tiny, "dual-0101", seed=0)
    assert again.cases.equals(trained.cases)
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()} == before


def test_the_three_kinds_of_backbone_give_different_maps_of_the_same_rows(tiny: Settings) -> None:
    maps = {kind: open_attention(pipeline.attention(tiny, kind))[0] for kind in ("finetuned", "pretrained", "random")}
    assert {array.shape for array in maps.values()} == {(36, 6, 4, 4)}
    assert not np.array_equal(maps["pretrained"], maps["random"])
    assert not np.array_equal(maps["pretrained"], maps["finetuned"])


def test_each_random_seed_is_another_vit(tiny: Settings) -> None:
    draws = [changed(tiny, "attention", random_seed=seed) for seed in (0, 0, 1)]
    first, same, other = (pipeline.attention(settings, "random") for settings in draws)
    assert first.key == same.key != other.key
    assert not np.array_equal(open_attention(first)[0], open_attention(other)[0])


def test_the_image_control_shows_the_second_encoder_the_image(tiny: Settings, runs: Path) -> None:
    settings = changed(tiny, "attention", control="image")
    data = pipeline.network_data(settings, "dual-1111")
    image, copies = data.inputs(torch.tensor([0, 7]))
    assert copies.shape == (2, 6, 32, 32)
    low, high = image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
    torch.testing.assert_close(copies, ((image - low) / (high - low)).expand(-1, 6, -1, -1))
    assert not (runs / "attention").exists()
    trained = pipeline.train(settings, "dual-1111", 0)
    assert trained.segmentation.key != pipeline.train(tiny, "dual-1111", 0).segmentation.key
    assert pipeline.network_data(settings, "unet").inputs(torch.tensor([0]))[1] is None


def test_the_last_epoch_is_kept_beside_the_chosen_one(tiny: Settings) -> None:
    settings = changed(tiny, "segmentation", epochs=3)
    trained, data = pipeline.train(settings, "unet", 0), pipeline.network_data(settings, "unet")
    epoch = json.loads((trained.segmentation.path / "selection.json").read_text())["epoch"]
    last = load_model(settings, "unet", trained.segmentation, data, last_epoch=True).state_dict()
    equal = all(torch.equal(value, last[name]) for name, value in trained.model.state_dict().items())
    assert equal == (epoch == 3)
    chosen = pipeline.train(changed(settings, "segmentation", selection="last"), "unet", 0)
    assert all(torch.equal(value, last[name]) for name, value in chosen.model.state_dict().items())


def test_an_unknown_kind_is_named(tiny: Settings) -> None:
    with pytest.raises(ValueError, match=r"finetuned.*pretrained.*random"):
        pipeline.backbone(tiny, "magic")


def test_head_scores_of_the_test_slices(tiny: Settings) -> None:
    scores = pipeline.score_heads(tiny, "pretrained")
    assert len(scores) == 6 * 4
    assert set(scores["class"]) == {"RV", "Myo", "LV", "any"}
    assert (scores["slices"] == 6).all()
    assert scores["auroc"].between(0, 1).all()


@pytest.mark.parametrize("split", ["train", "valid"])
def test_head_scores_are_those_of_the_resized_maps_of_the_splits_rows(tiny: Settings, split: str) -> None:
    prepared, (maps, _) = pipeline.prepare(tiny), open_attention(pipeline.attention(tiny, "random"))
    rows = np.flatnonzero(prepared.cases["split"] == split)
    large = torch.tensor(maps[rows]).float().repeat_interleave(8, -1).repeat_interleave(8, -2).numpy()
    expected = head_scores(large, prepared.labels[rows], ("RV", "Myo", "LV"))
    pd.testing.assert_frame_equal(pipeline.score_heads(tiny, "random", split), expected)


def test_the_vit_sees_images_from_0_to_1_whatever_the_networks_see(tiny: Settings) -> None:
    settings = changed(tiny, "data", normalization="zscore")
    assert abs(float(pipeline.prepare(settings).images.astype(np.float32).mean())) < 0.05
    images = pipeline.prepare_for_vit(settings).images
    assert np.array_equal(images, pipeline.prepare_for_vit(tiny).images)
    assert -0.2 < images.min() < 0.1 < 0.9 < images.max() < 1.2


def test_a_split_without_what_the_rule_needs_is_refused_before_anything_is_trained(
    tiny: Settings, tmp_path: Path
) -> None:
    split = tmp_path / "split.csv"
    split.write_text(
        "patient,split\n" + "".join(f"patient{n:03d},train\n" for n in (1, 2, 4, 5, 19)) + "patient090,test\n"
    )
    settings = tiny.model_copy(update={"data": tiny.data.model_copy(update={"split": str(split)})})
    with pytest.raises(ValueError, match=r"validation.*segmentation.selection=last"):
        pipeline.prepare(settings)
    last = settings.segmentation.model_copy(update={"selection": "last"})
    pipeline.prepare(settings.model_copy(update={"segmentation": last}))


def test_maps_of_another_patient_need_another_patient_before_anything_is_trained(tiny: Settings, runs: Path) -> None:
    settings = changed(tiny, "attention", control="other-patient")  # its split has one patient for the test
    with pytest.raises(InputError, match=r"test.*patient002.*other-patient"):
        pipeline.finetune(settings)
    with pytest.raises(InputError, match=r"test.*patient002.*other-patient"):
        pipeline.train(settings, "single", 0)
    assert not (runs / "dino").exists()
    assert pipeline.train(settings, "unet", 0).label == "unet"  # takes no maps


def test_looking_for_what_is_finished_computes_nothing(tiny: Settings, runs: Path) -> None:
    with store.finished_only(), pytest.raises(store.StageMissingError, match="prepared"):
        pipeline.train(tiny, "unet", seed=0)
    assert not runs.exists()
    trained = pipeline.train(tiny, "unet", seed=0)
    pipeline.prepare_for_vit(tiny)
    with store.finished_only():
        assert pipeline.train(tiny, "unet", seed=0).cases.equals(trained.cases)
        with pytest.raises(store.StageMissingError, match="dino"):
            pipeline.train(tiny, "single", seed=0)
    pipeline.finetune(tiny)  # allowed again


def test_unknown_networks_and_seeds_wait_for_no_stage(tiny: Settings, runs: Path) -> None:
    with pytest.raises(InputError, match=r"Single.*single"):
        pipeline.train(tiny, "Single", 0)
    assert not runs.exists()
    seeds: list[Any] = [2**32, -1, "0", 0.5]  # a notebook takes what its reader writes
    for seed in seeds:
        with pytest.raises(InputError, match=f"seed {seed!r}; .*4294967295"):
            pipeline.train(tiny, "unet", seed)


@pytest.mark.parametrize(
    ("network", "opened"),
    [
        ("unet", ["prepared", "segmentation", "scores"]),
        ("single", ["prepared", "prepared", "dino", "attention", "segmentation", "scores"]),  # also at the ViT's size
    ],
)
def test_training_opens_each_of_its_inputs_once(
    tiny: Settings, monkeypatch: pytest.MonkeyPatch, network: str, opened: list[str]
) -> None:
    pipeline.train(tiny, network, seed=0)
    stages = []

    def counted(stage: str, *arguments: Any, **options: Any) -> store.StageResult:
        stages.append(stage)
        return store.run_stage(stage, *arguments, **options)

    for module in (prepared_store, dino_stage, attention_stage, segmentation_stage, evaluation):
        monkeypatch.setattr(module, "run_stage", counted)
    pipeline.train(tiny, network, seed=0)
    assert stages == opened


def test_heads_that_are_set_reach_every_use_of_a_foreign_file(tiny: Settings, tmp_path: Path) -> None:
    vit = DinoViT(img_size=32, patch_size=8, embed_dim=64, depth=1, num_heads=4)
    save_file(dict(vit.state_dict()), tmp_path / "foreign.safetensors")
    weights = str(tmp_path / "foreign.safetensors")
    unsaid, said = (changed(tiny, "vit", weights=weights, heads=heads) for heads in (None, 4))
    for kind in ("finetuned", "pretrained", "random"):
        with pytest.raises(InputError, match=r"vit\.heads"):
            pipeline.backbone(unsaid, kind)
        assert pipeline.backbone(said, kind)[0].heads == 4
    assert pipeline.attention(changed(said, "attention", control="constant")).path.is_dir()
    assert pipeline.network_data(changed(said, "attention", control="image"), "single").heads == 4
