"""`dainet verify`: OK only where every file was compared with a record; everything else is a line and exit status 1."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from dainet.cache.prune import remove
from dainet.cache.records import write_record
from dainet.cache.runs import find_run
from dainet.cache.store import RECORD, UNFINISHED, run_stage
from dainet.cache.verify import verify_folder
from dainet.lessons.index import write_index
from dainet.places import repository_root
from dainet.reporting.artifacts import save_csv, save_figure, save_table
from dainet.settings import Settings, load_settings
from tests.helpers.commands import command
from tests.helpers.stages import stage, unfinished


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    """A folder with a figure, a table, numbers and the index page."""
    settings = load_settings("tour", {"output": str(tmp_path / "out")})
    save_figure(Figure(), "curves", settings, {})
    save_table(pd.DataFrame({"a": ["1"]}), "table2", settings, {}, ["note"])
    save_csv(pd.DataFrame({"dsc": [0.9]}), "scores_per_case", settings, {})
    write_index(settings)
    return tmp_path / "out"


def rewrite(record: Path, files: object) -> None:
    """Put other files into a record, and leave it without a hash of its own, as older versions did."""
    content = json.loads(record.read_text())
    del content["record_sha256"]
    record.write_text(json.dumps(content | {"files": files}))


def lines(folder: Path) -> list[str]:
    """What the command says about a folder that it must not accept, without the summary."""
    status, said = command("verify", str(folder))
    assert status == 1, said
    *found, summary = said.splitlines()
    assert "OK" not in said
    assert "compared" in summary
    return found


def test_what_nobody_has_touched_is_ok_with_its_number_of_files(figures: Path) -> None:
    result = stage()
    assert command("verify", str(result.path)) == (0, "OK: 2 files match their records\n")
    assert command("verify", str(figures)) == (0, "OK: 7 files match their records\n")  # 2 + 3 + 1 + 1


def test_the_committed_figures_are_ok() -> None:
    found = verify_folder(repository_root() / "figures")
    assert found.different == []
    assert found.not_compared == []
    assert found.compared > 200
    assert {path.name for path in found.exempt} == {"README.md", "NOTICE.md"}


def test_a_record_is_compared_with_an_independent_hash(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"abc")
    # The example of FIPS 180-2, appendix B.1.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    write_record(tmp_path / "a.json", {"files": {"a.csv": digest}})
    assert verify_folder(tmp_path) == (1, [], [], [])


@pytest.mark.parametrize("name", ["table2.csv", "table2.tex", "curves.png", "scores_per_case.csv", "index.html"])
def test_every_file_of_a_run_is_compared(figures: Path, name: str) -> None:
    (figures / name).write_text("something else")
    (line,) = lines(figures)
    assert name in line
    assert "7 files compared, 1 of them differ; 0 could not" in command("verify", str(figures))[1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.unlink(),
        lambda record: record.write_text(""),
        lambda record: record.write_text(record.read_text()[:-200]),
        lambda record: record.write_text("[" * 100_000),
        lambda record: record.write_text("{}"),
        lambda record: rewrite(record, {}),
        lambda record: rewrite(record, ["table2.csv"]),
        lambda record: record.write_text(record.read_text().replace("tour", "paper")),
        lambda record: record.write_bytes(b"\xff\xfe"),
    ],
    ids=["deleted", "emptied", "cut", "nested", "{}", "no hashes", "a list", "changed", "no text"],
)
def test_without_its_record_no_file_is_ok(figures: Path, damage: Callable[[Path], None]) -> None:
    damage(figures / "table2.json")
    found = lines(figures)
    for name in ("table2.csv", "table2.md", "table2.tex"):
        assert any(f"{name}:" in line for line in found)
    assert any("table2.json:" in line for line in found) == (figures / "table2.json").exists()


@pytest.mark.parametrize("damage", [Path.unlink, Path.touch], ids=["deleted", "emptied"])
def test_a_stage_without_a_readable_record_is_named(damage: Callable[[Path], None], runs: Path) -> None:
    good, bad = stage(), stage(seed=1)
    (bad.path / RECORD).write_text("")
    damage(bad.path / RECORD)
    (bad.path / "cases.csv").write_text("dsc\n0.1\n")
    found = "\n".join(lines(runs))
    assert str(bad.path) in found
    assert str(bad.path / "cases.csv") in found
    assert str(good.path) not in found


def test_an_emptied_stage_is_named(runs: Path) -> None:
    stage()
    bad = stage(seed=1).path
    shutil.rmtree(bad)
    bad.mkdir()
    (line,) = lines(runs)
    assert str(bad) in line
    (line,) = lines(bad)
    assert RECORD in line


def test_a_file_more_or_less_in_a_stage_is_named(runs: Path) -> None:
    folder = stage().path
    (folder / "volumes" / "b.npy").touch()
    (folder / "volumes" / "a.npy").unlink()
    found = "\n".join(lines(runs))
    assert f"{folder / 'volumes' / 'b.npy'}:" in found
    assert f"{folder / 'volumes' / 'a.npy'}: missing" in found
    assert "1 files compared, 0 of them differ; 2 could not" in command("verify", str(runs))[1]


def test_a_json_file_of_a_stage_is_compared_like_any_other(runs: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "training.json").write_text('{"collapse": "none"}')

    done = run_stage("dino", 1, {}, {}, build)
    assert command("verify", str(runs))[0] == 0
    (done.path / "training.json").write_text('{"collapse": "uni')
    (line,) = lines(runs)
    assert "training.json: differs" in line


@pytest.mark.parametrize("name", ["scores", "key", "volumes", "cases.csv"])
def test_links_are_followed(runs: Path, tmp_path: Path, name: str) -> None:
    folder = stage().path
    place = {"scores": folder.parent, "key": folder}.get(name, folder / name)
    shutil.move(place, tmp_path / "other disk")
    place.symlink_to(tmp_path / "other disk")
    assert command("verify", str(runs)) == (0, "OK: 2 files match their records\n")
    (folder / "cases.csv").write_text("dsc\n0.1\n")
    (folder / "volumes" / "a.npy").write_text("0")
    assert len(lines(runs)) == 2
    shutil.rmtree(tmp_path / "other disk") if name != "cases.csv" else (tmp_path / "other disk").unlink()
    lines(runs)  # a link to nothing


def test_a_circle_of_links_ends(runs: Path) -> None:
    (stage().path / "volumes" / "up").symlink_to(runs)
    assert command("verify", str(runs)) == (0, "OK: 2 files match their records\n")


def test_an_unfinished_stage_is_counted_and_not_compared(runs: Path) -> None:
    unfinished({})
    with pytest.raises(ValueError, match="records"):
        verify_folder(runs)
    stage()
    status, said = command("verify", str(runs))
    assert (status, said.startswith("OK: 2 files match their records; 1 ")) == (0, True)
    lines(next(runs.glob("dino/*.partial")))


def test_what_is_no_file_is_a_line(figures: Path) -> None:
    os.mkfifo(figures / "pipe.json")
    os.mkfifo(figures / "pipe")
    record = figures / "table2.json"
    files = json.loads(record.read_text())["files"]
    rewrite(record, files | {"pipe": "0" * 64, ".": "0" * 64})
    assert len(lines(figures)) == 3
    record.write_text(json.dumps({"files": files | {"no\0name": "0" * 64}}))
    assert {line.split(":")[0].split(".")[-1] for line in lines(figures)} >= {"csv", "json"}


def test_nothing_to_compare_is_a_failure(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        status, _ = command("verify", str(folder))
        assert str(status).startswith("dainet: ")
        assert str(folder) in str(status)


def test_records_name_their_data_and_a_table_made_again_is_ok_again(tiny: Settings, tmp_path: Path) -> None:
    settings = tiny.model_copy(update={"output": str(tmp_path / "out")})
    digest = hashlib.sha256(b"scans").hexdigest()
    prepared = run_stage("prepared", 1, {}, {"data": digest}, lambda folder: (folder / "a").touch())
    network = run_stage("segmentation", 1, {}, {"prepared": prepared.key}, lambda folder: (folder / "a").touch())
    path = save_table(pd.DataFrame({"a": ["1"]}), "t", settings, {"segmentation": network.key}, ["note"])
    record = json.loads(path.with_suffix(".json").read_text())
    assert {"git", "packages", "settings", "stages", "accelerator", "files"} <= set(record)
    assert record["data"] == [digest]
    path.write_text("other")
    assert len(lines(tmp_path / "out")) == 1
    save_table(pd.DataFrame({"a": ["1"]}), "t", settings, {"segmentation": network.key}, ["note"])
    assert command("verify", str(tmp_path / "out"))[0] == 0


def test_a_figure_that_cannot_be_written_leaves_the_one_before(figures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, before = load_settings("tour", {"output": str(figures)}), (figures / "curves.png").read_bytes()
    monkeypatch.setattr("dainet.reporting.artifacts.write_record", lambda path, record: interrupt())
    with pytest.raises(KeyboardInterrupt):
        save_figure(Figure(figsize=(2, 2)), "curves", settings, {})
    assert (figures / "curves.png").read_bytes() == before
    assert command("verify", str(figures)) == (0, "OK: 7 files match their records\n")


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_computation_beside_it_does_not_disturb(runs: Path) -> None:
    end = threading.Event()

    def compute() -> None:
        for seed in range(10_000):
            if end.is_set():
                return
            (stage("dino", seed).path.parent / f"{seed}.partial" / UNFINISHED).mkdir(parents=True)
            if seed > 2:
                remove(find_run(stage("dino", seed - 2).key))

    stage()
    worker = threading.Thread(target=compute)
    worker.start()
    try:
        outcomes = [command("verify", str(runs)) for _ in range(20)]
        listed = [command("runs") for _ in range(20)]
    finally:
        end.set()
        worker.join()
    assert [said for status, said in outcomes if not said.startswith("OK")] == []
    assert {status for status, _ in listed} == {0}
