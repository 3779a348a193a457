"""Commands that list and explain the cache."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dainet import pipeline
from dainet.cache.runs import find_run, find_runs, lineage, runs_table
from dainet.cache.store import RECORD, run_stage
from dainet.pipeline import Trained
from dainet.reporting.artifacts import save_table
from dainet.settings import Settings
from tests.helpers.commands import command
from tests.helpers.stages import unfinished


@pytest.fixture
def trained(tiny: Settings) -> Trained:
    return pipeline.train(tiny, "unet", seed=0)


def test_the_list_has_finished_and_unfinished_stages(trained: Trained, runs: Path) -> None:
    unfinished({"epochs": 3})
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


def test_why_tells_what_an_unfinished_stage_is_to_become(runs: Path) -> None:
    data = run_stage("prepared", 1, {"size": 32}, {}, lambda folder: None)
    key = unfinished({"epochs": 3}, {"prepared": data.key}).stem
    status, said = command("runs", "--why", key[:8])
    assert status == 0
    assert "unfinished" in said.splitlines()[0]
    found = json.loads(said[said.index("{") :])
    assert (found[key]["settings"], found[data.key]["settings"]) == ({"epochs": 3}, {"size": 32})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": {"epo', '{"settings": 1, "inputs": 2}', None])
@pytest.mark.parametrize("complete", [True, False], ids=["finished", "unfinished"])
def test_a_damaged_record_is_named_and_does_not_stop_the_list(runs: Path, content: str | None, complete: bool) -> None:
    good = run_stage("prepared", 1, {"size": 32}, {}, lambda folder: None)
    bad = run_stage("dino", 1, {"epochs": 3}, {}, lambda folder: None).path if complete else unfinished({"epochs": 3})
    (bad / RECORD).write_text(content) if content is not None else (bad / RECORD).unlink()
    status, said = command("runs")
    assert status == 0
    assert good.key in said
    begun = content is None and not complete  # the moment before an unfinished stage gets its record
    assert (str(bad / RECORD) in said) == (not begun)
    status, _ = command("runs", "--why", bad.stem)
    assert str(bad / RECORD) in str(status)


def test_a_stage_that_is_there_finished_and_unfinished_is_one(runs: Path) -> None:
    done = run_stage("dino", 1, {"epochs": 3}, {}, lambda folder: None)
    shutil.copytree(done.path, f"{done.path}.partial")
    assert find_run(done.key).complete
    assert "no" not in {line["complete"] for line in runs_table([find_run(done.key)])}


def test_links_and_files_beside_stages(runs: Path, tmp_path: Path) -> None:
    done = run_stage("dino", 1, {"epochs": 3}, {}, lambda folder: np.save(folder / "a.npy", np.zeros(250_000)))
    shutil.move(done.path, tmp_path / "other disk")
    done.path.symlink_to(tmp_path / "other disk")
    (runs / "dino" / "a file").touch()
    (runs / "dino" / "gone").symlink_to(tmp_path / "nowhere")
    (line,) = runs_table(find_runs())
    assert (line["key"], line["MB"], line["settings"]) == (done.key, "2.0", "epochs 3")


def test_without_stages_the_list_says_so(runs: Path) -> None:
    assert command("runs") == (0, f"{runs}\nno stages\n")


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
