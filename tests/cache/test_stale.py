"""Stale results are impossible: a changed setting, file or version recomputes its stage and those after, no others."""

import importlib
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import h5py
import pytest

from dainet import pipeline
from dainet.attention.stage import run_attention
from dainet.cache.store import StageMissingError, StageResult, finished_only
from dainet.data.volume import DataError
from dainet.device import Device, choose_device, device_settings
from dainet.dino.stage import run_dino
from dainet.segmentation.evaluation import run_scores
from dainet.segmentation.slices import SliceData
from dainet.segmentation.stage import run_segmentation
from dainet.settings import Settings, load_settings
from tests.helpers import REPOSITORY
from tests.helpers.samples import tiny_overrides, write_h5_source, write_maps

LOSS = f"{REPOSITORY / 'tests' / 'helpers' / 'losses.py'}:cross_entropy"
# The first stage in the order of the pipeline that must be computed again when the setting gets this value; None where
# the setting changes nothing. Every later stage has the key of the one before among its inputs.
CHANGES: dict[str, tuple[Any, str | None]] = {
    "profile": ("laptop", None),
    "device": ("auto", None),  # the same device by another name
    "output": ("figures/elsewhere", None),
    "n_processes": (2, "dino"),
    "data.dataset": ("custom", "refused"),
    "data.source": ("OTHER", "prepared"),
    "data.phantom_patients": (7, None),  # the source is not "phantom"
    "data.split": ("nnformer", "prepared"),
    "data.train_patients": (3, "prepared"),
    "data.normalization": ("percentile", "prepared"),
    "data.window_hu": ((-100, 200), None),  # of CT only, as the order of labels; both: see test_stale_files.py
    "data.label_order": ("transunet", None),
    "data.spacing": ("TABLE", "prepared"),
    "data.slice_axis": ("x", None),  # of files with an affine; see test_stale_files.py
    "vit.weights": ("random", "dino"),
    "vit.heads": (6, "dino"),
    "vit.image_size": (48, "prepared for the ViT"),
    "dino.epochs": (2, "dino"),
    "dino.batch_size": (5, "dino"),
    "dino.lr": (1e-3, "dino"),
    "dino.min_lr": (1e-7, "dino"),
    "dino.warmup_epochs": (0, "dino"),
    "dino.weight_decay": (0.05, "dino"),
    "dino.weight_decay_end": (0.5, "dino"),
    "dino.clip_grad": (2.0, "dino"),
    "dino.freeze_last_layer_epochs": (0, "dino"),
    "dino.drop_path": (0.2, "dino"),
    "dino.teacher_momentum": (0.99, "dino"),
    "dino.student_temperature": (0.2, "dino"),
    "dino.teacher_temperature": (0.05, "dino"),
    "dino.warmup_teacher_temperature": (0.05, None),  # there is no warm-up of it
    "dino.warmup_teacher_temperature_epochs": (1, "dino"),
    "dino.centering": (False, "dino"),
    "dino.center_momentum": (0.8, "dino"),
    "dino.out_dim": (17, "dino"),
    "dino.norm_last_layer": (False, "dino"),
    "dino.global_size": (48, "dino"),
    "dino.global_scale": ((0.5, 1.0), "dino"),
    "dino.local_crops": (1, "dino"),
    "dino.local_size": (32, "dino"),
    "dino.local_scale": ((0.1, 0.4), "dino"),
    "dino.seed": (1, "dino"),
    "attention.backbone": ("pretrained", "attention"),
    "attention.control": ("constant", "attention"),
    "attention.random_seed": (1, None),  # the weights are not random
    "attention.compile": (True, "attention"),
    "attention.maps": ("MAPS", "attention"),
    "attention.resize": ("bilinear", "segmentation"),
    "attention.normalization": ("tokens", "segmentation"),
    "segmentation.image_size": (48, "prepared"),
    "segmentation.width": (5, "segmentation"),
    "segmentation.switch_order": ("shallow-first", "segmentation"),
    "segmentation.epochs": (2, "segmentation"),
    "segmentation.patience": (9, "segmentation"),
    "segmentation.batch_size": (7, "segmentation"),
    "segmentation.lr": (1e-2, "segmentation"),
    "segmentation.weight_decay": (0.0, "segmentation"),
    "segmentation.dice": ("eq5", "segmentation"),
    "segmentation.loss": (LOSS, "segmentation"),
    "segmentation.augment": (False, "segmentation"),
    "dino.compile": (True, "dino"),
    "dino.keep_every": (1, "dino"),
    "segmentation.compile": (True, "segmentation"),
    "segmentation.pretrained": ("hub", "segmentation"),
    "segmentation.selection": ("last", "segmentation"),
    "segmentation.sync_batch_norm": (False, None),  # one process
    "segmentation.seeds": ((0, 1), None),  # seed 0 is there already; seed 1 is another training
}
# Settings that change nothing beside others: the others, the setting, and what opens the first stage that reads it.
Step = Callable[[Settings], StageResult]
IDLE: list[tuple[dict[str, Any], str, Step]] = [
    *(({"dino.epochs": 0}, name, pipeline.finetune) for name in CHANGES if re.match(r"dino\.(?!epochs)", name)),
    ({"dino.local_crops": 0}, "dino.local_size", pipeline.finetune),
    ({"dino.local_crops": 0}, "dino.local_scale", pipeline.finetune),
    ({"dino.centering": False}, "dino.center_momentum", pipeline.finetune),
    ({}, "dino.warmup_teacher_temperature", pipeline.finetune),
    *(
        ({"attention.control": "constant"}, name, pipeline.attention)
        for name in ("attention.backbone", "attention.compile", "dino.epochs", "dino.lr", "vit.weights")
    ),
    *(
        ({"attention.maps": "MAPS"}, name, lambda s: pipeline.segment(s, "single", 0))
        for name in ("attention.backbone", "attention.compile", "attention.resize", "dino.lr", "vit.weights")
    ),
    ({"attention.control": "image"}, "attention.backbone", lambda s: pipeline.segment(s, "single", 0)),
    ({"segmentation.selection": "last"}, "segmentation.patience", lambda s: pipeline.segment(s, "unet", 0)),
    ({"segmentation.loss": LOSS}, "segmentation.dice", lambda s: pipeline.segment(s, "unet", 0)),
    ({}, "segmentation.switch_order", lambda s: pipeline.segment(s, "unet", 0)),
    ({}, "attention.control", lambda s: pipeline.segment(s, "unet", 0)),
]
VERSIONS = {
    "dainet.data.prepared": "prepared",
    "dainet.dino.stage": "dino",
    "dainet.attention.stage": "attention",
    "dainet.segmentation.stage": "segmentation",
    "dainet.segmentation.evaluation": "scores",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Run all stages of the tiny settings, in a folder that the tests of this module share."""
    folder = tmp_path_factory.mktemp("stale")
    overrides = tiny_overrides(write_h5_source(folder / "h5")) | {"segmentation.epochs": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAINET_RUNS", str(folder / "runs"))
        pipeline.train(load_settings("tour", overrides), "dual-1111", seed=0)
        write_maps(folder / "maps", pipeline.prepare(load_settings("tour", overrides)).cases)
    write_weights(folder)
    return folder, overrides


def write_weights(folder: Path) -> None:
    """Write the shipped weights under another name, and others of the same shapes: the last number is another."""
    content = bytearray((files("dainet.vit") / "weights" / "tour_vit.safetensors").read_bytes())
    (folder / "same.safetensors").write_bytes(content)
    content[-4] ^= 1
    (folder / "other.safetensors").write_bytes(content)


@pytest.fixture(autouse=True)
def runs(finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all tests of this module share one folder."""
    monkeypatch.setenv("DAINET_RUNS", str(finished[0] / "runs"))


def first_missing(settings: Settings) -> str | None:
    """Return the stage that would be computed now."""
    with finished_only():
        for name, step in (("", pipeline.prepare), (" for the ViT", pipeline.prepare_for_vit)):
            try:
                step(settings)
            except StageMissingError as missing:
                return str(missing).split()[0] + name
        try:
            pipeline.train(settings, "dual-1111", seed=0)
        except StageMissingError as missing:
            return str(missing).split()[0]
    return None


def names(settings: Settings) -> set[str]:
    sections = settings.model_dump()
    return {f"{name}.{field}" for name, values in sections.items() if isinstance(values, dict) for field in values} | {
        name for name, value in sections.items() if not isinstance(value, dict)
    }


def test_the_table_names_every_setting() -> None:
    assert set(CHANGES) == names(Settings())


def test_nothing_changed_nothing_computed(finished: tuple[Path, dict[str, Any]]) -> None:
    assert first_missing(load_settings("tour", finished[1])) is None


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_recomputes_from_its_stage_on(
    finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("dainet.device._best_available", lambda: "cpu")
    value, stage = CHANGES[name]
    folder, overrides = finished
    if name == "data.source":
        value = str(write_h5_source(folder / "other"))
        with h5py.File(f"{value}/patient001_frame01.h5", "r+") as file:
            file["image"][0, 0, 0] += 1
    if name == "data.spacing":
        patients = [f"patient{number:03d},1.5,8\n" for number in (1, 2, 4, 5, 19, 90)]
        (folder / "edges.csv").write_text("".join(["patient,pixel_mm,slice_distance_mm\n", *patients]))
        value = str(folder / "edges.csv")
    if name == "attention.maps":
        value = str(folder / "maps")
    if name == "segmentation.pretrained":  # refused for this network, whose key shows what it would do to others
        monkeypatch.setattr(pipeline, "check_pretrained", lambda *_: None)
    if name == "profile":
        settings = load_settings("tour", overrides).model_copy(update={"profile": value})
    else:
        settings = load_settings("tour", overrides | {name: value})
    assert settings != load_settings("tour", overrides)
    if stage == "refused":
        with pytest.raises(DataError):
            first_missing(settings)
        return
    assert first_missing(settings) == stage


@pytest.mark.parametrize(("others", "name", "step"), IDLE, ids=[f"{name} with {others}" for others, name, _ in IDLE])
def test_a_setting_without_effect_changes_neither_key_nor_result(
    finished: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    others: dict[str, Any],
    name: str,
    step: Step,
) -> None:
    overrides = finished[1] | {
        name: str(finished[0] / "maps") if item == "MAPS" else item for name, item in others.items()
    }
    value = str(finished[0] / "other.safetensors") if name == "vit.weights" else CHANGES[name][0]
    changed = load_settings("tour", overrides | {name: value})
    assert changed != load_settings("tour", overrides)
    first = step(load_settings("tour", overrides))
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path))
    other = step(changed)
    assert other.key == first.key
    assert other.record()["files"] == first.record()["files"]


def test_another_draw_of_random_weights_is_another_backbone(finished: tuple[Path, dict[str, Any]]) -> None:
    settings = [load_settings("tour", finished[1] | {"attention.random_seed": seed}) for seed in (0, 1)]
    assert len({pipeline.attention(drawn, "random").key for drawn in settings}) == 2


def test_the_warm_up_of_the_teachers_temperature_counts_where_there_is_one(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    warm = finished[1] | {"dino.warmup_teacher_temperature_epochs": 1}
    pipeline.finetune(load_settings("tour", warm))
    with finished_only(), pytest.raises(StageMissingError, match="dino"):
        pipeline.finetune(load_settings("tour", warm | {"dino.warmup_teacher_temperature": 0.05}))


def test_weights_count_by_their_content_and_not_by_their_name(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, overrides = finished
    for name, stage in (("same", None), ("other", "dino")):
        weights = str(folder / f"{name}.safetensors")
        assert first_missing(load_settings("tour", overrides | {"vit.weights": weights})) == stage


def test_a_stage_that_computes_in_another_precision_is_another(finished: tuple[Path, dict[str, Any]]) -> None:
    settings = load_settings("tour", finished[1])
    prepared, for_vit, maps = (
        pipeline.prepare(settings),
        pipeline.prepare_for_vit(settings),
        pipeline.attention(settings),
    )
    vit, identity = pipeline.backbone(settings, "finetuned")
    trained = pipeline.train(settings, "dual-1111", seed=0)

    def scored(device: Device) -> StageResult:
        data = SliceData(prepared, maps, settings.attention, device)
        return run_scores(trained.model, trained.segmentation, prepared, data)

    steps: dict[str, Callable[[Device], StageResult]] = {
        "dino": lambda device: run_dino(settings, for_vit, device),
        "attention": lambda device: run_attention(settings, for_vit, vit, "finetuned", identity, device),
        "segmentation": lambda device: run_segmentation(
            settings, "dual-1111", 0, SliceData(prepared, maps, settings.attention, device)
        ),
        "scores": scored,
    }
    here = choose_device("cpu")
    other = device_settings(here.torch_device, native_bf16=here.precision == "float32")
    with finished_only():
        for name, step in steps.items():
            assert step(here).record()["settings"]["precision"] == here.precision
            with pytest.raises(StageMissingError, match=name):
                step(other)


def test_one_changed_voxel_is_noticed_and_a_touched_file_is_not(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, overrides = finished
    path = folder / "h5" / "patient002_frame09.h5"
    before = path.read_bytes()
    path.write_bytes(before)  # new time, same content
    assert first_missing(load_settings("tour", overrides)) is None
    with h5py.File(path, "r+") as file:
        file["image"][0, 0, 0] += 1
    try:
        assert first_missing(load_settings("tour", overrides)) == "prepared"
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("module", VERSIONS)
def test_a_raised_version_recomputes_its_stage(
    finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setattr(importlib.import_module(module), "_VERSION", 999)
    assert first_missing(load_settings("tour", finished[1])) == VERSIONS[module]


def test_every_stage_has_the_one_before_among_its_inputs(finished: tuple[Path, dict[str, Any]]) -> None:
    settings = load_settings("tour", finished[1])
    prepared, for_vit = pipeline.prepare(settings).result, pipeline.prepare_for_vit(settings).result
    dino, attention = pipeline.finetune(settings), pipeline.attention(settings)
    trained = pipeline.train(settings, "dual-1111", seed=0).segmentation
    assert for_vit.key in dino.record()["inputs"].values()
    assert {for_vit.key, dino.key} <= set(attention.record()["inputs"].values())
    assert {prepared.key, attention.key} <= set(trained.record()["inputs"].values())
