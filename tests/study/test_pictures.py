"""Pictures of the study from finished stages only."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dainet import pipeline
from study.pictures import draw_pictures
from study.plan import PATIENTS, first_trainings, load_plan
from tests.helpers.samples import tiny_overrides


@pytest.fixture
def where(h5_source: Path) -> dict[str, Any]:
    return tiny_overrides(h5_source) | {"data.train_patients": None, "vit.weights": "tour", "segmentation.epochs": 1}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The study's folder in a repository of its own."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "figures" / "acdc-study"


def test_what_is_finished_is_drawn_and_the_rest_is_named(
    where: dict[str, Any], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = first_trainings()
    trained = pipeline.train(plan["dual-1111"].settings(where), "dual-1111", seed=0)
    scores = trained.cases.query("policy == 'strict'").assign(model="dual-1111", train_patients=PATIENTS)
    folder.mkdir(parents=True)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "study"):
        draw_pictures(where, scores, folder)
    assert {path.name for path in folder.glob("*.png")} == {"figure1_pretrained.png"}
    assert set(pd.read_csv(folder / "heads.csv")["weights"]) == {"pre-trained"}
    assert pd.read_csv(folder / "head_controls.csv").groupby("weights")["class"].count().tolist() == [4, 4]
    left_out = [message.split()[0] for message in caplog.messages]
    assert left_out == ["figure1_random", "figure1_finetuned", "figure3_qualitative"]
    pd.DataFrame({"weights": ["fine-tuned"], "auroc": [0.5]}).to_csv(folder / "heads.csv", index=False)
    for name in ("unet", "single"):
        pipeline.train(plan[name].settings(where), name, seed=0)
    draw_pictures(where, scores, folder)
    assert (folder / "figure3_qualitative.png").is_file()
    assert list(pd.read_csv(folder / "heads.csv")["weights"].unique()) == ["pre-trained", "fine-tuned"]


def test_an_empty_cache_draws_nothing_and_loses_nothing(
    where: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "heads.csv").write_text("weights,auroc\nfine-tuned,0.5\n")
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "empty"))
    case_id = next(iter(pipeline.prepare(load_plan()[0].settings(where)).volumes("test")))
    scores = {"model": ["dual-1111"], "train_patients": [PATIENTS], "case_id": [case_id], "dsc": [0.5]}
    draw_pictures(where, pd.DataFrame(scores), folder)
    assert {path.name for path in folder.iterdir()} == {"heads.csv"}
    assert (folder / "heads.csv").read_text() == "weights,auroc\nfine-tuned,0.5\n"
