import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from dainet.cache.folders import StageError
from dainet.cache.records import hash_files
from dainet.cache.store import run_stage


def build(folder: Path) -> None:
    (folder / "number.txt").write_text("7")


def test_a_finished_stage_is_not_built_again(runs: Path) -> None:
    calls = []

    def counted(folder: Path) -> None:
        calls.append(folder)
        build(folder)

    results = [run_stage("s", 1, {"a": 1}, {"data": "x"}, counted) for _ in range(2)]
    assert len(calls) == 1
    assert results[0] == results[1]
    assert (results[0].path / "number.txt").read_text() == "7"
    assert results[0].record()["settings"] == {"a": 1}


@pytest.mark.parametrize("change", [{"stage": "t"}, {"version": 2}, {"settings": {"a": 2}}, {"inputs": {"data": "y"}}])
def test_every_part_of_the_key_matters(change: dict[str, Any]) -> None:
    base: dict[str, Any] = {"stage": "s", "version": 1, "settings": {"a": 1}, "inputs": {"data": "x"}}
    assert run_stage(**base, build=build).path != run_stage(**(base | change), build=build).path


def test_a_failed_stage_that_resumes_leaves_only_its_partial_folder(runs: Path) -> None:
    def fail(folder: Path) -> None:
        build(folder)
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        run_stage("s", 1, {}, {}, fail, resumes=True)
    assert [path.suffix for path in (runs / "s").iterdir()] == [".partial"]
    assert (
        run_stage("s", 1, {}, {}, lambda folder: None, resumes=True).path.joinpath("number.txt").exists()
    )  # resumes there


def test_an_interrupted_one_says_how_to_resume(caplog: pytest.LogCaptureFixture) -> None:
    def interrupt(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage("dino", 1, {}, {}, interrupt, resumes=True)
    assert re.search(r"dino: interrupted.*run the same", caplog.text)


def test_files_of_a_killed_stage_that_does_not_resume_are_removed(runs: Path) -> None:
    key = run_stage("s", 1, {}, {}, build).key
    (runs / "s" / key).rename(runs / "s" / f"{key}.partial")
    (runs / "s" / f"{key}.partial" / "half.txt").touch()
    done = run_stage("s", 1, {}, {}, build).path
    assert sorted(path.name for path in done.iterdir()) == ["number.txt", "provenance.json"]


def test_a_failed_stage_that_does_not_resume_leaves_nothing(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dainet.cache.records.provenance", full)  # at the very end, when the record is written
    with pytest.raises(StageError, match=r"runs.*No space left on device.*free space"):
        run_stage("s", 1, {}, {}, build)
    assert not list((runs / "s").iterdir())


def test_a_runs_path_that_is_not_a_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DAINET_RUNS", str(tmp_path / "file"))
    with pytest.raises(StageError, match=r"file.*DAINET_RUNS"):
        run_stage("s", 1, {}, {}, build)


def test_errors_that_are_not_the_disks_stay_what_they_are(runs: Path) -> None:
    def offline(_: Any) -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    with pytest.raises(ConnectionRefusedError):
        run_stage("s", 1, {}, {}, offline)
    with pytest.raises(PermissionError, match="weights"):
        run_stage("s", 1, {}, {}, lambda _: (_ for _ in ()).throw(PermissionError(errno.EACCES, "no", "/weights")))


def test_provenance_holds_no_path_or_user(runs: Path) -> None:
    result = run_stage("s", 1, {}, {}, build)
    text = (result.path / "provenance.json").read_text()
    assert str(runs) not in text
    assert "/home" not in text


def test_hash_of_files_follows_names_and_contents(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("b", "2"), ("c", "1")):
        (tmp_path / name).write_text(text)
    a, b, c = (tmp_path / name for name in "abc")
    assert hash_files([a, b], tmp_path) == hash_files([b, a], tmp_path)
    assert len({hash_files(paths, tmp_path) for paths in ([a], [b], [c])}) == 3
    before = hash_files([a], tmp_path)
    a.write_text("2")  # same name and size
    assert hash_files([a], tmp_path) != before


def test_file_names_need_not_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"J\xfcrgen")
    path.write_text("1")
    assert len(hash_files([path], tmp_path)) == 64
