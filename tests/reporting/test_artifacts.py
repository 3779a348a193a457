"""What is written next to a figure or a table: files, hashes, alternative text, data, and what failed beneath."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from dainet.cache.store import StageResult, run_stage
from dainet.reporting.artifacts import data_title, save_figure, save_table
from dainet.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings("tour", {"output": str(tmp_path / "out"), "data.source": "scans"})


def fine_tuned(verdict: str) -> tuple[StageResult, StageResult]:
    """Return a DINO stage that ended like this after 7 epochs, and the attention stage made from it."""
    prepared = run_stage("prepared", 1, {"case": verdict}, {"data": f"content {verdict}"}, lambda folder: None)

    def train(folder: Path) -> None:
        (folder / "training.json").write_text(json.dumps({"collapse": verdict, "epochs": 7}))

    dino = run_stage("dino", 1, {"case": verdict}, {"prepared": prepared.key}, train)
    return dino, run_stage("attention", 1, {}, {"dino": dino.key}, lambda folder: None)


def test_a_table_says_which_fine_tuning_collapsed(settings: Settings) -> None:
    good, bad = fine_tuned("none"), fine_tuned("uniform")
    stages = {"attention": good[1].key, "other": bad[1].key}
    path = save_table(pd.DataFrame({"a": ["1.00 ± 0.50"]}), "table", settings, stages, ["first"])
    first, note = [line for line in path.read_text().splitlines() if line.startswith("- ")]
    assert first == "- first"
    assert [word in note for word in (bad[0].key, "7 epochs", "uniform")] == 3 * [True]
    assert good[0].key not in path.read_text()
    comments = [line for line in path.with_suffix(".tex").read_text().splitlines() if line.startswith("%")]
    assert comments == ["% first", f"% {note[2:]}"]
    assert r"1.00 $\pm$ 0.50" in path.with_suffix(".tex").read_text()


def test_a_record_holds_hashes_of_all_files_and_of_the_data_behind_them(settings: Settings) -> None:
    stages = {"a": fine_tuned("none")[1].key, "b": fine_tuned("constant")[0].key}
    figure = Figure()
    figure.set_label("two curves")
    path = save_figure(figure, "curves", settings, stages)
    record = json.loads(path.with_suffix(".json").read_text())
    assert (path.name, record["file"], record["alt"], record["stages"]) == (
        "curves.png",
        "curves",
        "two curves",
        stages,
    )
    assert record["data"] == ["content constant", "content none"]
    assert set(record["files"]) == {"curves.png", "curves.pdf"}
    for name, digest in record["files"].items():
        assert hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == digest
    table = save_table(pd.DataFrame({"a": ["1"]}), "numbers", settings, {}, [])
    record = json.loads(table.with_suffix(".json").read_text())
    assert set(record["files"]) == {"numbers.csv", "numbers.md", "numbers.tex"}
    assert "alt" not in record
    assert record["data"] == []


@pytest.mark.parametrize(
    ("dataset", "source", "title"),
    [
        ("acdc", "scans", "ACDC"),
        ("acdc", "phantom", "ACDC phantoms"),
        ("synapse", "phantom", "Synapse phantoms"),
        ("custom", "scans", "own data"),
    ],
)
def test_titles_say_what_the_data_are(dataset: str, source: str, title: str) -> None:
    assert data_title(load_settings("tour", {"data.dataset": dataset, "data.source": source})) == title
