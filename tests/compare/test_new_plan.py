"""`dainet compare plan`: what it writes, what it prints, what it refuses."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dainet import pipeline
from dainet.__main__ import app
from dainet.compare.cost import Cost, cost_table, fold_slices, training_seconds
from dainet.compare.new_plan import named_networks, split_overrides
from dainet.compare.outlook import design_of, spreads_of
from dainet.compare.plan import plan_hash, read_plan
from dainet.compare.power import published_spreads
from dainet.compare.simulation import Design
from dainet.data.volume import DataError
from dainet.errors import InputError
from dainet.settings import DataSettings, SegmentationSettings, load_settings
from tests.helpers.samples import tiny_overrides, write_maps

NETWORK = """
from dainet.segmentation.networks import UNet
def narrow(in_channels, classes):
    return UNet(in_channels, 0, classes, 2)
"""
Planned = Callable[..., str]


@pytest.fixture
def planned(h5_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """The command on six tiny patients, in a folder of its own; it returns what is printed, or raises."""
    monkeypatch.chdir(tmp_path)
    values = tiny_overrides(h5_source)
    settings = [f"--set={name}={value}" for name, value in values.items() if name != "data.source"]

    def plan(*words: str) -> str:
        shared = ["--source", str(h5_source), "--weights", "tour", *settings, "--set=attention.backbone=pretrained"]
        done = CliRunner().invoke(app, ["compare", "plan", *words, *shared])
        if done.exception:
            raise done.exception
        return done.stdout

    return plan


def test_networks_with_given_maps_are_measured_without_a_vit(
    planned: Planned, h5_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = pipeline.prepare(load_settings("tour", tiny_overrides(h5_source))).cases
    maps = write_maps(tmp_path / "maps", cases)
    monkeypatch.setattr("dainet.compare.cost.load_vit", lambda *_, **__: pytest.fail("a ViT was loaded"))
    printed = planned(
        "dual-1111", "copies=dual-1111,attention.control=image", "--folds=2", f"--set=attention.maps={maps}"
    )
    assert re.search(r"copies +maps", printed)


def test_a_plan_is_written_that_can_be_read_and_run(planned: Planned, h5_source: Path, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "mine.py").write_text(NETWORK)
    wide = "wide=dual-1111,segmentation.width=6,attention.backbone=random"
    printed = planned(
        "nets/mine.py:narrow", "unet", wide, "--folds=3", "--seeds=2", "--gain=1", "--output=plans/mine.yaml"
    )
    path = tmp_path / "plans" / "mine.yaml"
    plan = read_plan(path)
    assert plan.sha256 == plan_hash(plan)
    assert list(plan.folds) == [f"mine/fold{number}.csv" for number in (1, 2, 3)]
    assert design_of(plan) == Design((2, 2, 2), (2, 2))
    assert [(wave.seed, wave.networks) for wave in plan.waves] == [
        (seed, ("narrow", "unet", "wide")) for seed in (1, 2)
    ]
    roles = [(line.first, line.second, line.role) for line in plan.comparisons]
    assert roles == [("narrow", "unet", "primary"), ("wide", "unet", "exploratory")]
    assert plan.where == {"data.source": str(h5_source), "vit.weights": "tour", "device": "cpu"}
    text = path.read_text()
    assert str(tmp_path) not in text[: text.index("\nwhere:")]
    assert "  unet: {network: unet}\n" in text
    trainings = {each.name: each for each in plan.trainings()}
    own = trainings["wide_fold3_seed2"].settings({})
    assert (own.segmentation.width, own.attention.random_seed, own.segmentation.epochs) == (6, 2, 3)
    assert Path(trainings["narrow_fold1_seed1"].network.rpartition(":")[0]).samefile(tmp_path / "nets" / "mine.py")
    costs = re.findall(r"^(narrow|unet|wide|all) .*?(\d+) +(\S+)$", printed, re.MULTILINE)
    assert [(name, trainings) for name, trainings, _ in costs] == [
        ("narrow", "6"),
        ("unet", "6"),
        ("wide", "6"),
        ("all", "18"),
    ]
    assert all(float(hours) > 0 for *_, hours in costs)
    assert all(name in printed for name in published_spreads())
    sources = printed[printed.index("  small (ACDC") : printed.index("mine.yaml and the folds")]
    assert max(map(len, sources.splitlines())) <= 100  # a notebook breaks longer lines within words
    assert "1.63 of the difference between patients" in " ".join(sources.split())
    with pytest.raises(InputError, match=r"mine\.yaml is there already"):
        planned("unet", "single", "--output=plans/mine.yaml")


def test_one_fold_is_the_own_split_and_one_training_is_not_judged(planned: Planned, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 test patients in 1 folds"):
        planned("single", "unet", "--folds=1", "--seeds=1")
    assert not list(tmp_path.glob("compare*"))
    parts = {"patient001": "test", "patient002": "test", "patient019": "valid"}
    parts |= dict.fromkeys(("patient004", "patient005", "patient090"), "train")
    lines = "".join(f"{patient},{part}\n" for patient, part in parts.items())
    (tmp_path / "own.csv").write_text(f"patient,split\n{lines}")
    own = f"--set=data.split={tmp_path / 'own.csv'}"
    printed = planned("single", "unet", "--folds=1", "--seeds=1", "--spread=near-paper", own)
    plan = read_plan(tmp_path / "compare.yaml")
    assert plan.split(1) == parts
    assert plan.spread.startswith("near-paper")
    assert "not judged" in printed


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["unet"], "two networks"),
        (["unet", "unte"], "unte"),
        (["unet", "unet"], "label unet"),
        (["a=unet,data.source=there", "unet"], r"data\.source"),
        (["a/b=unet", "single"], "a/b"),
        (["a=unet,segmentation.widths=3", "unet"], r"segmentation\.width"),
        (["missing.py:net", "unet"], r"missing\.py"),
        (["unet", "single", "--set=data.split=x.csv"], "--folds"),
        (["unet", "single", "--set=segmentation.seeds=[1]"], "--seeds"),
        (["unet", "single", "--margin=0"], "--margin"),
        (["unet", "single", "--gain=0.3"], "--gain"),
        (["unet", "single", "--spread=large"], "near-paper"),
        (["unet", "single", "--spread=gone.yaml"], "gone"),
        (["unet", "single", "--folds=4"], "6 patients for 4 folds"),
        (["unet", "single", "--output=plan.txt"], r"plan\.txt"),
        (["unet", "single", "--set=data.train_patients=9"], "train_patients"),
        (["unet", "single", "--set=segmentation={seeds: [1]}"], "--seeds"),
        (["a=dual-features,attention.control=image", "unet"], r"attention\.control=image with dual-features"),
        (["unet", "transunet-small", "--set=segmentation.pretrained=hub"], r"unet.*segmentation\.pretrained"),
    ],
)
def test_what_cannot_be_planned_is_refused_and_nothing_is_written(
    planned: Planned, tmp_path: Path, words: list[str], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        planned(*words, *(() if any("--folds" in word for word in words) else ("--folds=3",)))
    assert not list(tmp_path.glob("*.yaml")) + list(tmp_path.glob("compare*"))


@pytest.mark.parametrize("option", [(), ("--set=data.train_patients=1",)], ids=["all", "few to train"])
def test_one_image_under_two_names_is_refused(planned: Planned, h5_source: Path, option: tuple[str, ...]) -> None:
    for frame in ("01", "09"):
        shutil.copy(h5_source / f"patient001_frame{frame}.h5", h5_source / f"patient050_frame{frame}.h5")
    with pytest.raises(InputError, match=r"patient001.*patient050"):
        planned("unet", "single", "--folds=3", *option)


def test_a_name_with_results_is_refused(planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAINET_FIGURES", str(tmp_path / "figures"))
    (tmp_path / "figures" / "compare" / "scores").mkdir(parents=True)
    with pytest.raises(InputError, match="holds results"):
        planned("unet", "single")


def test_settings_of_a_network_may_contain_commas(tmp_path: Path) -> None:
    rows = named_networks(["a=unet,data.window_hu=[-100, 200],segmentation.lr=1e-2", "unet"], {}, tmp_path)
    assert rows["a"].settings == {"data.window_hu": [-100, 200], "segmentation.lr": "1e-2"} | {
        "segmentation.lr": yaml.safe_load("1e-2")
    }
    assert not rows["unet"].settings


def test_what_this_machine_has_is_told_from_what_is_planned(tmp_path: Path) -> None:
    (tmp_path / "edges.csv").touch()
    given: dict[str, Any] = {"data.source": "/scans", "device": "cpu", "data.spacing": str(tmp_path / "edges.csv")}
    shared, where = split_overrides(given | {"segmentation.lr": 0.1}, tmp_path / "plans")
    assert shared == {"data.spacing": "../edges.csv", "segmentation.lr": 0.1}
    assert where == {"data.source": "/scans", "device": "cpu"}


def test_slices_are_counted_by_fold_and_guessed_where_none_was_read() -> None:
    folds = [
        {"a": "train", "b": "train", "c": "valid", "d": "test"},
        {"a": "test", "b": "train", "c": "train", "d": "valid"},
    ]
    counted = fold_slices(folds, DataSettings(), {"a": 10, "b": 20, "c": 30})
    assert counted == [{"train": 30, "valid": 30, "test": 20}, {"train": 50, "valid": 20, "test": 10}]
    with pytest.raises(DataError, match="train_patients"):
        fold_slices(folds, DataSettings(train_patients=3), {"a": 10})


def test_a_training_takes_its_steps_and_the_predictions_that_choose_its_checkpoint() -> None:
    cost, settings = Cost("image", 1, 1, 2.0, 0.5), SegmentationSettings(epochs=3, batch_size=8)
    slices = {"train": 17, "valid": 4, "test": 9}
    assert training_seconds(cost, settings, slices) == 3 * (3 * 2.0 + 4 * 0.5)


def test_hours_count_the_patients_of_each_network() -> None:
    cost = Cost("image", 1, 1, step_s=1.0, slice_s=0.0)
    settings = load_settings("tour", {"segmentation.batch_size": 1, "segmentation.epochs": 60})
    slices = {name: [{"train": count, "valid": 0, "test": 0}] for name, count in (("few", 2), ("all", 5))}
    table = cost_table(dict.fromkeys(slices, cost), dict.fromkeys(slices, settings), slices, seeds=1)
    assert table["Min per training"].tolist()[:2] == ["2", "5"]


def test_another_draw_per_seed_is_only_where_none_is_chosen(tmp_path: Path) -> None:
    words = ["a=dual-1111,attention.backbone=random", "b=dual-1111,attention.backbone=random,attention.random_seed=5"]
    rows = named_networks(words, {}, tmp_path)
    assert [row.seeded for row in rows.values()] == [("attention.random_seed",), ()]


def test_a_spread_goes_first_when_it_is_chosen() -> None:
    assert list(spreads_of("near-paper")) == ["near-paper", "small"]
    assert spreads_of("small") == published_spreads()
