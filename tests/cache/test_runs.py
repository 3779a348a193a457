"""Commands that list, explain, prune and verify the cache."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from dainet import __main__ as command_line
from dainet import pipeline
from dainet.cache.runs import find_run, find_runs, lineage, remove, runs_table, unreferenced
from dainet.cache.store import UNFINISHED, run_stage
from dainet.cache.verify import verify_folder
from dainet.pipeline import Trained
from dainet.reporting.artifacts import save_figure, save_table
from dainet.settings import Settings


@pytest.fixture
def trained(tiny: Settings) -> Trained:
    return pipeline.train(tiny, "unet", seed=0)


def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[str | int | None, str]:
    monkeypatch.setattr(sys, "argv", ["dainet", *arguments])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return stopped.value.code, capsys.readouterr().out


def test_the_list_has_finished_and_unfinished_stages(trained: Trained, runs: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_stage("dino", 1, {"epochs": 3}, {}, lambda folder: (_ for _ in ()).throw(KeyboardInterrupt), resumes=True)
    table = {line["stage"]: line for line in runs_table(find_runs())}
    assert set(table) == {"prepared", "segmentation", "scores", "dino"}
    assert (table["dino"]["complete"], table["dino"]["settings"]) == ("no", "epochs 3")
    assert table["segmentation"]["complete"] == "yes"
    assert "model unet" in table["segmentation"]["settings"]
    assert "seed 0" in table["segmentation"]["settings"]


@pytest.mark.parametrize("patients", [2, {"patient001": "train", "patient002": "test"}])
def test_the_list_counts_patients_given_as_a_number_or_as_a_split(patients: int | dict[str, int], runs: Path) -> None:
    run_stage("phantoms", 1, {"dataset": "acdc", "patients": patients}, {}, lambda folder: None)
    assert runs_table(find_runs())[0]["settings"] == "dataset acdc, patients 2"


def test_why_follows_the_inputs_down_to_the_data(trained: Trained) -> None:
    found = lineage([trained.segmentation.key])
    assert [record["stage"] for record in found.values()] == ["segmentation", "prepared"]
    assert len(found[trained.segmentation.record()["inputs"]["prepared"]]["inputs"]["data"]) == 64


def test_a_key_may_be_shortened_but_not_be_unclear(trained: Trained) -> None:
    assert find_run(trained.segmentation.key[:8]).key == trained.segmentation.key
    with pytest.raises(ValueError, match=r"3 stages.*key"):
        find_run("")


def test_pruning_keeps_what_figures_refer_to_and_what_that_was_made_from(
    tiny: Settings, trained: Trained, tmp_path: Path
) -> None:
    other = pipeline.train(tiny, "unet", seed=1)
    settings = tiny.model_copy(update={"output": str(tmp_path / "figures" / "mine")})
    save_figure(Figure(), "curves", settings, {"segmentation": trained.segmentation.key})
    (tmp_path / "figures" / "other.json").write_text("[1, 2]")
    left = unreferenced(find_runs(), tmp_path / "figures")
    assert trained.segmentation.key not in {run.key for run in left}
    assert {run.stage for run in left} == {"segmentation", "scores"}  # of seed 1; scores of seed 0 are in no figure
    for run in left:
        remove(run)
    assert trained.segmentation.path.is_dir()
    assert not other.segmentation.path.exists()


def test_the_commands(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "segmentation" in command(monkeypatch, capsys, "runs")[1]
    status, text = command(monkeypatch, capsys, "runs", "--why", trained.segmentation.key[:6])
    assert status == 0
    assert set(json.loads(text)) >= {trained.segmentation.key}
    monkeypatch.setattr("typer.confirm", lambda question: False)
    assert "segmentation" in command(monkeypatch, capsys, "runs", "--prune")[1]
    assert trained.segmentation.path.is_dir()
    monkeypatch.setattr("typer.confirm", lambda question: True)
    command(monkeypatch, capsys, "runs", "--prune")
    assert not trained.segmentation.path.exists()
    assert not find_runs()
    assert "no stages" in command(monkeypatch, capsys, "runs")[1]


def test_a_finished_stage_verifies_and_a_changed_byte_does_not(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained.segmentation.path
    assert not (folder / UNFINISHED).exists()
    assert verify_folder(folder) == (3, [])
    assert command(monkeypatch, capsys, "verify", str(folder)) == (0, "OK: 3 files match their records\n")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    (folder / "history.csv").unlink()
    status, text = command(monkeypatch, capsys, "verify", str(folder))
    assert status == 1
    assert "history.csv: missing" in text
    assert "safetensors: differs" in text


def test_figures_and_tables_verify_and_name_their_data(tiny: Settings, trained: Trained, tmp_path: Path) -> None:
    settings = tiny.model_copy(update={"output": str(tmp_path / "out")})
    stages = {"segmentation": trained.segmentation.key}
    save_figure(Figure(), "curves", settings, stages)
    path = save_table(pd.DataFrame({"a": ["1"]}), "scores", settings, stages, ["note"])
    assert verify_folder(tmp_path / "out") == (5, [])
    record = json.loads(path.with_suffix(".json").read_text())
    assert {"git", "packages", "settings", "stages", "accelerator", "files"} <= set(record)
    assert record["data"] == [pipeline.prepare(tiny).result.record()["inputs"]["data"]]
    path.write_text("other")
    assert verify_folder(tmp_path / "out")[1] == [f"{path}: differs from its record"]


def test_a_folder_without_records_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="records"):
        verify_folder(Path(tmp_path))


@pytest.mark.parametrize("verdict", ["none", "uniform"])
def test_a_collapsed_dino_is_in_the_footnote_of_every_table_that_rests_on_it(
    tiny: Settings, tmp_path: Path, verdict: str
) -> None:
    trained = pipeline.train(tiny, "single", seed=0)
    record = pipeline.finetune(tiny).path / "training.json"
    record.write_text(json.dumps({"collapse": verdict, "epochs": 1}))
    settings = tiny.model_copy(update={"output": str(tmp_path / "out")})
    path = save_table(pd.DataFrame({"a": ["1"]}), "t", settings, {"segmentation": trained.segmentation.key}, ["note"])
    assert ("its output was uniform" in path.read_text()) == (verdict == "uniform")
