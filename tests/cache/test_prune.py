"""`runs --prune` takes nothing that lives: what figures need, what is computed, what a process has opened."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from dainet.cache import prune
from dainet.cache.runs import Run, find_run, find_runs, finished_keys
from dainet.cache.store import RECORD, StageResult, run_stage
from dainet.reporting.artifacts import save_figure
from dainet.settings import load_settings
from tests.helpers import REPOSITORY
from tests.helpers.commands import command
from tests.helpers.stages import forget_use, stage, unfinished


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one figure of a stage, which is the working directory; nothing is asked."""
    root = tmp_path / "repository"
    (root / "notebooks").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    monkeypatch.chdir(root)
    monkeypatch.setattr("typer.confirm", lambda question: True)
    show(stage("prepared"))
    return root


def show(*results: StageResult, output: str = "") -> Path:
    """Save a figure of these stages; returns its record."""
    settings = load_settings("tour", {"output": output})
    stages = {f"{number}": result.key for number, result in enumerate(results)}
    return save_figure(Figure(), f"curves_{results[-1].key}", settings, stages).with_suffix(".json")


def prune_all(*options: str) -> str:
    """What the command prints, after the processes that made the stages have ended."""
    forget_use()
    status, said = command("runs", "--prune", *options)
    assert status == 0, status
    return said


def refused(*options: str) -> str:
    """The one line with which pruning is refused; nothing is removed."""
    forget_use()
    before = sorted(run.path for run in find_runs())
    status, _ = command("runs", "--prune", *options)
    assert str(status).startswith("dainet: ")
    assert sorted(run.path for run in find_runs()) == before
    return str(status)


def test_what_figures_need_stays_and_the_rest_goes(repository: Path) -> None:
    data = stage("data")
    network = stage("segmentation", inputs={"prepared": data.key})
    show(network)
    other = stage("segmentation", 1, inputs={"prepared": data.key})
    (repository / "figures" / "other.json").write_text("[1, 2]")
    said = prune_all()
    assert other.key in said
    assert network.key not in said
    assert str(repository / "figures" / "phantom-acdc-tour") in said
    assert network.path.is_dir()
    assert data.path.is_dir()
    assert not other.path.exists()


def test_nothing_goes_without_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    other = stage(seed=1)
    monkeypatch.setattr("typer.confirm", lambda question: False)
    assert other.key in prune_all()
    assert other.path.is_dir()


def test_from_another_folder_it_is_refused(tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / "figures") in refused()
    (runs / ".figures").unlink()  # as an older version leaves it
    (tmp_path / "figures").mkdir()
    assert str(tmp_path / "figures") in refused()  # it is empty, so it tells nothing
    (tmp_path / "figures" / "explorer.png").touch()
    refused()


def test_figures_outside_the_repository_count_from_wherever_it_is_called(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = stage("segmentation", 1)
    show(outside, output=str(tmp_path / "elsewhere"))
    show(outside, output=str(tmp_path / "elsewhere"))
    assert str(tmp_path / "elsewhere") in prune_all()
    another = tmp_path / "another"
    shutil.copytree(repository, another)
    monkeypatch.chdir(another)
    (another / "figures" / "phantom-acdc-tour").rename(another / "figures" / "acdc-study")
    said = prune_all()
    assert outside.path.is_dir()
    assert str(repository / "figures" / "phantom-acdc-tour") in said


def test_figures_that_cannot_be_looked_at_stop_it(tmp_path: Path, runs: Path) -> None:
    show(stage("segmentation", 1), output=str(tmp_path / "stick"))
    (tmp_path / "stick").rename(tmp_path / "unplugged")
    said = refused()
    assert str(tmp_path / "stick") in said
    (runs / ".figures").write_text('"stick')
    assert str(runs / ".figures") in refused()
    (runs / ".figures").unlink()
    prune_all()
    assert {run.stage for run in find_runs()} == {"prepared"}


def move_by_hand(record: Path, folder: Path, runs: Path) -> Path:
    """Move a record as people do, with a memory of the cache that knows nothing of it; returns the new folder."""
    folder.mkdir()
    shutil.move(record, folder / record.name)
    (runs / ".figures").unlink()
    return folder


def test_what_the_chosen_folder_of_figures_holds_counts_next_to_the_repository(
    repository: Path, tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, other = stage("segmentation", 1), stage("segmentation", 2)
    chosen = move_by_hand(show(trained), tmp_path / "chosen", runs)
    monkeypatch.setenv("DAINET_FIGURES", str(chosen))
    said = prune_all()
    assert str(chosen) in said
    assert str(repository / "figures" / "phantom-acdc-tour") in said
    assert {run.key for run in find_runs()} >= {trained.key}
    assert {run.stage for run in find_runs()} == {"prepared", "segmentation"}, "figures of the repository count too"
    assert not other.path.exists()


def test_the_chosen_folder_of_figures_suffices_outside_a_repository(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = stage("segmentation", 1)
    chosen = move_by_hand(show(trained), tmp_path / "chosen", runs)
    monkeypatch.setenv("DAINET_FIGURES", str(chosen))
    monkeypatch.chdir(tmp_path)
    prune_all()
    assert {run.key for run in find_runs()} == {trained.key}


@pytest.mark.parametrize("lost", ["chosen", "repository/figures"])
def test_a_disk_of_figures_that_is_not_mounted_stops_it(
    repository: Path, tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    chosen = move_by_hand(show(stage("segmentation", 1)), tmp_path / "chosen", runs)
    monkeypatch.setenv("DAINET_FIGURES", str(chosen))
    (tmp_path / lost).rename(tmp_path / "disk")
    (tmp_path / lost).symlink_to(tmp_path / "disk")
    prune_all()
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    assert str(tmp_path / "disk") in refused()


def test_a_cache_that_moves_with_its_figures_remembers_them(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DAINET_RUNS", str(repository / "runs"))
    inside = stage("segmentation", 1)
    show(inside, output="mine")
    repository.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "moved" / "runs"))
    show(stage("prepared"))
    assert str(tmp_path / "moved" / "mine") in prune_all()
    assert find_run(inside.key).complete


def test_a_linked_folder_of_figures_counts(repository: Path, tmp_path: Path) -> None:
    linked = stage("segmentation", 1)
    record = show(linked, output="figures/mine")
    shutil.move(record.parent, tmp_path / "other disk")
    record.parent.symlink_to(tmp_path / "other disk")
    prune_all()
    assert linked.path.is_dir()


@pytest.mark.parametrize("content", ["", '{"stages": {"a": "b', "\xff"])
def test_a_figure_whose_record_cannot_be_read_stops_it(content: str) -> None:
    record = show(stage("segmentation", 1))
    record.write_bytes(content.encode("latin-1"))
    assert str(record) in refused()


def test_a_needed_stage_whose_record_cannot_be_read_stops_it_and_another_goes() -> None:
    needed, other = stage("segmentation", inputs={"data": stage("data").key}), stage(seed=7)
    show(needed)
    (other.path / RECORD).write_text("")
    prune_all()
    assert not other.path.exists()
    (needed.path / RECORD).unlink()
    assert str(needed.path / RECORD) in refused()


def test_records_of_the_study_and_jobs_of_a_workflow_count(repository: Path, runs: Path) -> None:
    studied, finished, other = (stage("segmentation", seed) for seed in (1, 2, 3))
    records = repository / "figures" / "acdc-study" / "records"
    records.mkdir(parents=True)
    content = {"stage": {"segmentation": studied.key, "inputs": {}}, "files": {}}
    (records / "unet.json").write_text(json.dumps(content))
    (runs / ".workflow" / "acdc").mkdir(parents=True)
    job = [{"stage": "segmentation", "key": finished.key}]
    (runs / ".workflow" / "acdc" / "train.json").write_text(json.dumps(job))
    assert other.key in prune_all()
    assert studied.path.is_dir()
    assert finished.path.is_dir()


def test_an_unfinished_stage_stays_with_what_it_needs_unless_asked_for() -> None:
    data = stage("data")
    begun = unfinished({"epochs": 3}, {"prepared": data.key})
    said = prune_all()
    assert data.path.is_dir()
    assert begun.is_dir()
    assert begun.stem not in said
    assert "--unfinished" in said
    assert begun.stem in prune_all("--unfinished")
    assert not begun.exists()
    assert not data.path.exists()


def test_an_unfinished_stage_that_has_no_record_yet_stops_nothing() -> None:
    begun, other = unfinished({"epochs": 3}), stage(seed=1)
    (begun / RECORD).unlink()
    prune_all()
    assert begun.is_dir()
    assert not other.path.exists()


def test_the_option_alone_is_refused() -> None:
    assert "--prune" in str(command("runs", "--unfinished")[0])


PROGRAM = """
import sys
from dainet.cache.store import run_stage

def build(folder):
    (folder / "state.pt").touch()
    print("begun", flush=True)
    sys.stdin.readline()

opened = run_stage("data", 1, {"seed": 0}, {}, lambda folder: (folder / "a").touch())
run_stage("dino", 1, {}, {"other": "0" * 16}, build, resumes=True)
print("done", flush=True)
sys.stdin.readline()
"""


@contextmanager
def other_process() -> Iterator[subprocess.Popen[str]]:
    """A process that has opened a stage and computes another until it gets a line; then it waits for one more."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_what_a_process_computes_or_has_opened_stays_until_it_ends() -> None:
    with other_process() as process:
        prune_all("--unfinished")
        assert {(run.stage, run.complete) for run in find_runs()} >= {("data", True), ("dino", False)}
        assert process.stdin
        assert process.stdout
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "done\n"
        prune_all("--unfinished")
        assert {(run.stage, run.complete) for run in find_runs()} >= {("data", True), ("dino", True)}
    prune_all()
    assert {run.stage for run in find_runs()} == {"prepared"}


def test_what_is_needed_after_the_question_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    later, other = stage(seed=1), stage(seed=2)

    def answer(question: str) -> bool:
        show(later)
        return True

    monkeypatch.setattr("typer.confirm", answer)
    assert later.key in prune_all()
    assert later.path.is_dir()
    assert not other.path.exists()


def test_what_is_opened_after_the_list_was_made_stays() -> None:
    other = stage(seed=1)
    forget_use()
    listed = find_run(other.key)
    stage(seed=1)
    assert not prune.remove(listed)
    assert other.path.is_dir()
    forget_use()
    assert prune.remove(listed)


def test_half_a_removed_stage_is_an_unfinished_one(monkeypatch: pytest.MonkeyPatch) -> None:
    other = stage(seed=1)

    def killed(folder: Path) -> None:
        (folder / "cases.csv").unlink()
        raise KeyboardInterrupt

    found = find_run(other.key)
    forget_use()
    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        prune.remove(found)
    assert not other.path.exists()
    assert not find_run(other.key).complete
    monkeypatch.undo()


def test_of_a_linked_stage_the_link_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    other = stage(seed=1)
    shutil.move(other.path, tmp_path / "other disk")
    other.path.symlink_to(tmp_path / "other disk")
    prune_all()
    assert not other.path.is_symlink()
    assert (tmp_path / "other disk" / "cases.csv").is_file()


def test_folders_that_were_never_stages_are_neither_listed_nor_removed(runs: Path, tmp_path: Path) -> None:
    """As where DAINET_RUNS names a disk on which other things lie, too."""
    (tmp_path / "elsewhere").mkdir()
    mine = [runs / "ACDC" / "training", runs / "thesis" / "chapters", runs / "dino" / "copy.partial"]
    for folder in (*mine, tmp_path / "elsewhere"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.txt").touch()
    (runs / "thesis" / "linked").symlink_to(tmp_path / "elsewhere")
    before = finished_keys()
    other = stage(seed=1)
    assert finished_keys() == before | {other.key}
    said = prune_all("--unfinished")
    assert not [path for path in (*mine, runs / "thesis" / "linked") if path.stem in said]
    assert not other.path.exists()
    assert all((folder / "a.txt").is_file() for folder in (*mine, runs / "thesis" / "linked"))


def test_a_stage_that_is_locked_is_not_removed() -> None:
    other = stage(seed=1)

    def build(folder: Path) -> None:
        run: Run = find_run(folder.stem)
        assert not prune.remove(run)
        assert run.path.is_dir()

    run_stage("dino", 1, {}, {"scores": other.key}, build)
