"""Where the time of a run went: rows, counts of images, operations and shares of a tiny run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from dainet.attention.given import run_given
from dainet.cache.runs import find_runs, finished_keys, lineage
from dainet.device import hardware
from dainet.pipeline import prepare
from dainet.reporting import work
from dainet.reporting.run_times import run_times, save_times, stage_time
from dainet.reporting.work import Work, product_rate, work_of
from dainet.segmentation.catalog import build
from dainet.settings import Settings, load_settings
from dainet.vit.model import load_vit
from tests.helpers.samples import write_maps

SLICES = {"train": 4 * 2 * 3, "test": 2 * 3, "all": 6 * 2 * 3}  # patients, phases, slices (tests/helpers/samples.py)
SPEED = ["Images/s", "Floor (%)"]


@pytest.fixture
def settings(trained_runs: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the tiny run, whose stages a test may change."""
    shutil.copytree(trained_runs[0], tmp_path / "runs", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr("dainet.reporting.run_times._rate", lambda device, precision: 1e9)
    return load_settings("tour", trained_runs[1])


def key_of(stage: str, **settings: Any) -> str:
    (key,) = [
        run.key
        for run in find_runs()
        if run.stage == stage and settings.items() <= (run.record or {})["settings"].items()
    ]
    return key


def change_record(key: str, values: dict[str, Any]) -> None:
    """Change a record; None removes a name. Without its own hash, as older versions wrote it."""
    (path,) = Path("runs").glob(f"*/{key}/provenance.json")
    record = json.loads(path.read_text()) | values | {"record_sha256": None}
    path.write_text(json.dumps({name: value for name, value in record.items() if value is not None}))


def test_a_row_for_every_stage_and_one_for_the_rest(settings: Settings) -> None:
    keys = [run.key for run in find_runs()]
    table = run_times(keys, [], 1000, settings)
    assert list(table["Stage"]) == [run.stage for run in find_runs()] + ["rest"]
    named = set(zip(table["Stage"], table["What"], strict=True))
    for name in ("unet", "single", "dual-1111"):
        assert {("segmentation", f"{name}, seed 0"), ("scores", f"{name}, seed 0")} <= named
    assert {("attention", "fine-tuned"), ("attention", "random weights"), ("prepared", "acdc, 32 px")} <= named
    spent = sum(lineage(keys)[key]["seconds"] for key in keys)
    assert table["Seconds"].iloc[-1] == pytest.approx(1000 - spent)
    assert table["Run (%)"].sum() == pytest.approx(100)
    assert table["Peak (MiB)"].isna().all(), "trained on a CPU"


def test_images_are_those_that_went_through_the_network(settings: Settings) -> None:
    keys = sorted(finished_keys())
    table = run_times(keys, [], 1000, settings)
    images = dict(zip(keys, table["Images/s"] * table["Seconds"], strict=False))
    for name in ("unet", "single", "dual-1111"):
        training = key_of("segmentation", model=name)
        epochs = len(pd.read_csv(next(Path("runs").glob(f"*/{training}/history.csv"))))
        assert images[training] == pytest.approx(epochs * SLICES["train"])
    for run in find_runs():
        expected = {"scores": SLICES["test"], "attention": SLICES["all"], "dino": SLICES["train"] * 4}  # 2 + 2 views
        if run.stage in expected:
            assert images[run.key] == pytest.approx(expected[run.stage])
        elif run.stage == "prepared":
            assert np.isnan(images[run.key])


def convolutions(network: nn.Module, *inputs: torch.Tensor) -> int:
    """Operations of a network's convolutions: a transposed one visits the pixels of its input."""
    counted = []

    def note(layer: Any, read: tuple[torch.Tensor], written: torch.Tensor) -> None:
        pixels = (read[0] if isinstance(layer, nn.ConvTranspose2d) else written)[:, 0].numel()
        counted.append(2 * layer.weight.numel() * pixels)

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(note)
    network.eval()(*inputs)
    return sum(counted)


def test_a_training_has_three_times_the_operations_of_its_forward_passes(settings: Settings) -> None:
    records = lineage(finished_keys())
    for name, heads in (("unet", 0), ("single", 6), ("dual-1111", 6)):
        image, maps = torch.rand(1, 1, 32, 32), torch.rand(1, heads, 32, 32)
        forward = convolutions(build(name, heads=heads, width=4), image, *([maps] if heads else [None]))
        training = key_of("segmentation", model=name)
        done = work_of(training, records, settings)
        assert done is not None
        assert done.operations == 3 * done.images * forward
        (scored,) = [key for key, record in records.items() if record["inputs"].get("segmentation") == training]
        assert work_of(scored, records, settings) == Work(SLICES["test"], SLICES["test"] * forward)


def transformer(tokens: int, blocks: int) -> int:
    """Operations of patch embedding and blocks of the tour's ViT: 12 D^2 for each token, and attention."""
    shape = load_vit("tour").architecture
    width, patch = shape["embed_dim"], shape["patch_size"]
    linear, attention = 12 * width**2 * tokens, 2 * tokens**2 * width
    return 2 * ((tokens - 1) * 3 * patch**2 * width + blocks * (linear + attention))


def test_operations_of_extraction_and_dino_are_counted_by_hand(settings: Settings) -> None:
    records, shape = lineage(finished_keys()), load_vit("tour").architecture
    width, patch, depth = shape["embed_dim"], shape["patch_size"], shape["depth"]
    large, small = ((side // patch) ** 2 + 1 for side in (32, 16))
    last = 2 * (width**2 + large * width**2 + large * width)  # query of CLS, keys of all, and their products
    for run in find_runs():
        done = work_of(run.key, records, settings)
        if run.stage == "attention":
            assert done == Work(SLICES["all"], SLICES["all"] * (transformer(large, depth - 1) + last))
        elif run.stage == "dino":
            head = 2 * (width * 2048 + 2048**2 + 2048 * 256 + 256 * 16)
            shared, local = 2 * (transformer(large, depth) + head), 2 * (transformer(small, depth) + head)
            assert done == Work(4 * SLICES["train"], SLICES["train"] * (3 * (shared + local) + shared))


def test_the_floor_is_the_time_of_the_operations_at_the_measured_rate(settings: Settings) -> None:
    key = key_of("segmentation", model="unet")
    change_record(key, {"seconds": 2.5})
    done = work_of(key, lineage([key]), settings)
    assert done is not None
    row = run_times([key], [], 10, settings).iloc[0]
    assert row["Floor (%)"] == pytest.approx(100 * (done.operations / 1e9) / 2.5)
    assert row["Run (%)"] == pytest.approx(25)


def test_what_was_found_finished_has_no_share_of_this_run(settings: Settings) -> None:
    first, second = key_of("segmentation", model="unet"), key_of("segmentation", model="single")
    for key in (first, second):
        change_record(key, {"seconds": 4.0, "peak_memory_mib": 700})
    table = run_times([first, second], {first}, 5, settings)
    assert list(table["Computed"]) == ["earlier", "now", ""]
    assert list(table["Seconds"]) == [4, 4, 1]
    assert list(table["Run (%)"].fillna(-1)) == [-1, 80, 20]
    assert list(table["Peak (MiB)"][:2]) == [700, 700]
    assert table["Images/s"][0] > 0


@pytest.mark.parametrize("change", [{"resumed": True}, {"seconds": None, "peak_memory_mib": None, "resumed": None}])
def test_a_resumed_stage_and_one_of_an_older_version_have_no_speed(settings: Settings, change: dict[str, Any]) -> None:
    key = key_of("segmentation", model="dual-1111")
    change_record(key, change)
    table = run_times([key], [], 100, settings)
    assert table[SPEED].isna().all(axis=None)
    assert table["Run (%)"].sum() == pytest.approx(100)
    assert np.isnan(table["Seconds"][0]) == ("seconds" in change)
    assert key in stage_time(key, 100)


def test_hardware_of_another_machine_has_no_floor_here(settings: Settings) -> None:
    key = key_of("segmentation", model="unet")
    change_record(key, {"threads": hardware()["threads"] + 1})  # type: ignore[operator]
    row = run_times([key], [], 100, settings).iloc[0]
    assert row["Images/s"] > 0
    assert np.isnan(row["Floor (%)"])


def test_beside_a_gpu_the_number_of_threads_does_not_matter(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, here = key_of("segmentation", model="unet"), hardware()
    monkeypatch.setattr("dainet.reporting.run_times.hardware", lambda: here | {"accelerator": "Fast 1", "threads": 99})
    change_record(key, {"accelerator": "Fast 1"})
    assert run_times([key], [], 100, settings)["Floor (%)"][0] > 0


def test_of_several_processes_the_peak_memory_is_not_known(settings: Settings) -> None:
    key = key_of("segmentation", model="unet")
    change_record(key, {"peak_memory_mib": 700})
    several = settings.model_copy(update={"n_processes": 2})
    peaks = [run_times([key], [], 100, each)["Peak (MiB)"][0] for each in (settings, several)]
    assert peaks[0] == 700
    assert np.isnan(peaks[1])


@pytest.mark.parametrize("keys", [[], ["0123456789abcdef"]])
def test_a_run_without_finished_stages_is_all_rest(settings: Settings, keys: list[str]) -> None:
    (row,) = run_times(keys, [], 3, settings).to_dict("records")
    assert (row["Stage"], row["Seconds"], row["Run (%)"]) == ("rest", 3, 100)


def test_the_table_is_printed_and_saved_and_keeps_no_stage_from_pruning(settings: Settings) -> None:
    key = key_of("segmentation", model="unet")
    text = save_times([key], [], 100, settings)
    (saved,) = Path("figures").glob("*/times.json")
    assert json.loads(saved.read_text())["stages"] == {}
    table = pd.read_csv(saved.with_suffix(".csv"))
    assert list(table["Stage"]) == ["segmentation", "rest"]
    assert {"unet, seed 0", *table.columns} <= {part.strip() for line in text.splitlines() for part in line.split("  ")}


def test_the_rate_is_that_of_the_best_product_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.001, 2.0])
    monkeypatch.setattr(work, "_MEASURED_S", 0)
    monkeypatch.setattr(work, "_seconds", lambda product: next(times))
    assert product_rate(torch.device("cpu"), torch.float32) == 2 * 2048**3 / 2.0


def test_maps_of_your_own_have_a_row_without_a_speed(settings: Settings, tmp_path: Path) -> None:
    prepared = prepare(settings)
    maps = run_given(str(write_maps(tmp_path / "maps", prepared.cases)), prepared)
    row = run_times([maps.key], [], 1000, settings).iloc[0]
    assert row["Stage"] == "attention"
    assert row["What"] == "maps of your own"
    assert row[SPEED].isna().all()
    assert "maps of your own" in stage_time(maps.key, 1000)
