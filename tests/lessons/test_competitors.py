"""The competitors' scores: from finished trainings, else those that come with the kit, and never by training."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from dainet import pipeline
from dainet.cache.runs import Run, finished_keys
from dainet.lessons import competitors, shipped_scores
from dainet.lessons.competitors import train_competitors, with_competitors
from dainet.protocol import NETWORKS
from dainet.segmentation.catalog import BASELINES
from dainet.settings import load_settings
from tests.helpers.notebooks import QUICK

OWN = pd.DataFrame({"model": ["unet"], "seed": 0, "dsc": 0.5})
TINY = QUICK | {"segmentation.selection": "last"}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "runs"))


def test_every_competitor_is_a_network_of_the_catalog() -> None:
    assert set(NETWORKS["competitors"]) <= set(BASELINES)


def test_the_tour_gets_the_shipped_scores_of_competitors() -> None:
    scores = with_competitors(OWN, load_settings("tour"))
    assert set(scores["model"]) == {"unet", *NETWORKS["competitors"]}
    assert set(scores["seed"]) == {0}
    assert finished_keys() == set()


def test_what_a_run_has_trained_itself_is_not_taken_twice() -> None:
    own = OWN.assign(model="attn-unet")
    scores = with_competitors(own, load_settings("tour"))
    assert (scores["model"] == "attn-unet").sum() == 1


@pytest.mark.parametrize(
    "overrides", [{"segmentation.epochs": 1}, {"data.dataset": "synapse"}, {"segmentation.pretrained": "hub"}]
)
def test_a_run_of_other_settings_gets_nothing(overrides: dict[str, object]) -> None:
    assert with_competitors(OWN, load_settings("tour", overrides)).equals(OWN)
    assert finished_keys() == set()


def test_a_network_that_the_settings_do_not_allow_has_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Run("segmentation", "0", Path(), True, 0.0, {"settings": {"model": "dual-features"}})
    monkeypatch.setattr(competitors, "find_runs", lambda: [other])
    settings = load_settings("tour", {"attention.control": "constant"})  # which features do not have
    assert with_competitors(OWN, settings).equals(OWN)


@pytest.mark.slow
def test_finished_trainings_are_found_and_only_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings("tour", TINY)
    trained = pipeline.train(settings, "unet-upsample", 0)
    pipeline.segment(settings, "attn-unet", 0)  # not scored
    before = finished_keys()
    assert with_competitors(OWN, settings)[len(OWN) :]["dsc"].tolist() == trained.cases["dsc"].tolist()
    more = load_settings("tour", TINY | {"segmentation.seeds": [0, 1]})
    assert with_competitors(OWN, more).equals(OWN)  # one of two trainings is missing
    assert finished_keys() == before

    monkeypatch.setattr(shipped_scores, "_FOLDER", tmp_path)  # and one command ships them
    monkeypatch.setitem(competitors.NETWORKS, "competitors", ("unet-upsample",))
    path = train_competitors(settings)
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "empty"))
    assert path == tmp_path / "acdc_competitors.csv"
    assert set(with_competitors(OWN, settings)["model"]) == {"unet", "unet-upsample"}
    assert with_competitors(OWN, load_settings("tour")).equals(OWN)
