"""The shipped scores of two more seeds: when they count, and how they are written."""

import json
from pathlib import Path

import pandas as pd
import pytest

from dainet.cache.records import hash_file, read_record
from dainet.lessons import more_seeds, shipped_scores
from dainet.lessons.more_seeds import train_more_seeds, with_more_seeds
from dainet.protocol import CLASSES, NETWORKS
from dainet.settings import load_settings
from tests.helpers.notebooks import QUICK

SHIPPED = sorted(shipped_scores._FOLDER.glob("*.csv"))


def own(seed: int = 0) -> pd.DataFrame:
    """Scores of a run with one seed."""
    return pd.DataFrame({"model": ["unet", "dual-1111"], "seed": seed, "dsc": 0.5})


def test_the_tour_gets_the_other_seeds_of_its_own_networks() -> None:
    scores = with_more_seeds(own(), load_settings("tour"))
    assert set(scores["seed"]) == {0, 1, 2}
    assert set(scores["model"]) == {"unet", "dual-1111"}


def test_what_a_run_trains_itself_is_not_taken_twice() -> None:
    scores = with_more_seeds(own(seed=1), load_settings("tour", {"segmentation.seeds": [1]}))
    assert scores.groupby("seed").size()[1] == 2
    assert set(scores["seed"]) == {1, 2}


@pytest.mark.parametrize(
    "overrides",
    [
        {"segmentation.epochs": 1},
        {"data.source": "elsewhere"},
        {"dino.epochs": 0},
        {"data.dataset": "custom", "data.source": "elsewhere"},
        {"attention.backbone": "random"},
    ],
)
def test_any_other_run_keeps_to_its_own(overrides: dict[str, object]) -> None:
    assert with_more_seeds(own(), load_settings("tour", overrides)).equals(own())


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_the_shipped_scores_are_whole(path: Path) -> None:
    record = read_record(path.with_suffix(".json"))
    assert record["files"] == {path.name: hash_file(path)}
    assert not {"/", "\\"} & set(json.dumps(record["settings"]))
    dataset, _, competitors = path.stem.partition("_")
    scores = pd.read_csv(path)
    counts = scores.groupby(["model", "seed", "policy", "class"])["case_id"].nunique()
    assert set(scores["model"]) <= set(NETWORKS["competitors"] if competitors else NETWORKS["ablation"])
    seeds = 1 if competitors else 2
    assert len(counts) == scores["model"].nunique() * seeds * 2 * len(CLASSES[dataset].names)
    assert counts.nunique() == 1


@pytest.mark.slow
def test_they_are_made_by_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(shipped_scores, "_FOLDER", tmp_path)
    monkeypatch.setitem(more_seeds.NETWORKS, "ablation", ("unet", "dual-1111"))
    settings = load_settings("tour", QUICK | {"segmentation.selection": "last"})
    path = train_more_seeds(settings)
    assert set(with_more_seeds(own(), settings)["seed"]) == {0, 1, 2}
    assert with_more_seeds(own(), load_settings("tour")).equals(own())
    assert pd.read_csv(path)["seed"].unique().tolist() == [1, 2]
