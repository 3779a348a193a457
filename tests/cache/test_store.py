import errno
import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from dainet.cache.folders import StageError
from dainet.cache.records import hash_files
from dainet.cache.store import RECORD, UNFINISHED, StageResult, finished_only, run_stage, times_log
from dainet.errors import MemoryLackError
from tests.helpers.damage import DAMAGES, SEEN_ON_OPENING


def build(folder: Path) -> None:
    (folder / "number.txt").write_text("7")


def open_again() -> StageResult:
    """Open the finished stage of `build`, which must not be computed again."""
    with finished_only():
        return run_stage("s", 1, {}, {}, build)


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
        (folder / UNFINISHED).mkdir()
        build(folder / UNFINISHED)
        raise OSError("disk")

    def resume(folder: Path) -> None:
        assert sorted(path.name for path in folder.iterdir()) == [RECORD, UNFINISHED]
        shutil.copy(folder / UNFINISHED / "number.txt", folder / "resumed.txt")

    with pytest.raises(OSError, match="disk"):
        run_stage("s", 1, {}, {}, fail, resumes=True)
    assert [path.suffix for path in (runs / "s").iterdir()] == [".partial"]
    done = run_stage("s", 1, {}, {}, resume, resumes=True)
    assert sorted(path.name for path in done.path.iterdir()) == [RECORD, "resumed.txt"]
    assert done.record()["resumed"]


def test_a_record_holds_seconds_and_peak_memory_which_no_key_depends_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=times_log.name)
    monkeypatch.setattr("dainet.cache.store._BEGIN", 0.0)
    keys = set()
    for took, peak in ((12.5, 700), (25.0, None)):
        clock = iter([50 - took, 50.0, 50.0])  # seconds since this process began
        monkeypatch.setattr("dainet.cache.store.perf_counter", lambda clock=clock: next(clock))
        monkeypatch.setattr("dainet.device.watch_memory", lambda peak=peak: lambda: peak)
        done = run_stage("s", 1, {}, {}, build)
        record = done.record()
        assert (record["seconds"], record["peak_memory_mib"], record["resumed"]) == (took, peak, False)
        assert {done.key, f"{took} s", f"{2 * took:.0f} %"} <= set(
            re.findall(r"[0-9a-f]{16}|[0-9.]+ [s%]", caplog.text)
        )
        keys.add(done.key)
        shutil.rmtree(done.path)
    assert len(keys) == 1


def test_an_interrupted_one_says_how_to_resume(caplog: pytest.LogCaptureFixture) -> None:
    def interrupt(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage("dino", 1, {}, {}, interrupt, resumes=True)
    assert re.search(r"dino: interrupted.*start it again", caplog.text)


def test_files_of_a_killed_stage_that_does_not_resume_are_removed(runs: Path) -> None:
    key = run_stage("s", 1, {}, {}, build).key
    (runs / "s" / key).rename(runs / "s" / f"{key}.partial")
    (runs / "s" / f"{key}.partial" / "half.txt").touch()
    done = run_stage("s", 1, {}, {}, build).path
    assert sorted(path.name for path in done.iterdir()) == ["number.txt", "provenance.json"]


@pytest.mark.parametrize("name", ["number.txt", RECORD])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_a_finished_stage_is_named_with_its_stage_and_the_way_out(damage: str, name: str) -> None:
    done = run_stage("s", 1, {}, {}, build).path
    DAMAGES[damage](done / name)
    if damage in SEEN_ON_OPENING or (damage == "flipped" and name == RECORD):
        with pytest.raises(StageError, match=rf"s {done.name}: .*{name}.*delete {done} ") as caught:
            open_again()
        assert "\n" not in str(caught.value)
        shutil.rmtree(done)
        assert run_stage("s", 1, {}, {}, build).read("number.txt", Path.read_text) == "7"
    else:
        assert open_again().path == done


def test_sizes_found_and_expected_are_said() -> None:
    done = run_stage("s", 1, {}, {}, build).path
    (done / "number.txt").write_text("77777")
    with pytest.raises(StageError, match=r"number\.txt has 5 bytes, expected 1;"):
        open_again()


def test_a_folder_whose_files_were_never_finished_is_not_taken_for_a_stage() -> None:
    done = run_stage("s", 1, {}, {}, build).path
    record = json.loads((done / RECORD).read_text())
    begun = {name: record[name] for name in ("stage", "stage_version", "settings", "inputs")}
    (done / RECORD).write_text(json.dumps(begun))
    with pytest.raises(StageError, match="record of an unfinished stage"):
        open_again()


def test_a_stage_in_the_place_of_another_is_not_taken_for_it() -> None:
    done, other = (run_stage("s", 1, {"seed": seed}, {}, build).path for seed in (0, 1))
    shutil.rmtree(done)
    done.symlink_to(other)
    with pytest.raises(StageError, match=rf"record of another stage.*delete {done} "):
        run_stage("s", 1, {"seed": 0}, {}, build)


def test_settings_with_numbers_as_names_are_found_again() -> None:
    settings = {"classes": {2: ("RV",), 10: ("Myo",)}}
    first, second = (run_stage("s", 1, settings, {}, build) for _ in range(2))
    assert first == second


def test_a_record_of_an_older_version_has_names_only() -> None:
    done = run_stage("s", 1, {}, {}, build).path
    record = json.loads((done / RECORD).read_text())
    del record["sizes"], record["record_sha256"], record["seconds"], record["peak_memory_mib"], record["resumed"]
    (done / RECORD).write_text(json.dumps(record))
    (done / "number.txt").write_text("12")
    assert open_again().path == done
    (done / "number.txt").unlink()
    with pytest.raises(StageError, match=r"number\.txt is missing"):
        open_again()


def test_links_to_a_moved_stage_are_followed_and_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    done = run_stage("s", 1, {}, {}, build).path
    done.rename(tmp_path / "elsewhere")
    done.symlink_to(tmp_path / "elsewhere")
    assert open_again().read("number.txt", Path.read_text) == "7"
    (tmp_path / "elsewhere").rename(tmp_path / "gone")
    for opened in (open_again, lambda: run_stage("s", 1, {}, {}, build)):
        with pytest.raises(StageError, match=rf"delete {done} "):
            opened()


def test_an_unfinished_stage_that_became_a_link_to_nothing_begins_again(tmp_path: Path, runs: Path) -> None:
    done = run_stage("s", 1, {}, {}, build).path
    shutil.rmtree(done)
    done.with_name(f"{done.name}.partial").symlink_to(tmp_path / "gone")
    run_stage("s", 1, {}, {}, build, resumes=True)
    assert [(path.name, path.is_symlink()) for path in (runs / "s").iterdir()] == [(done.name, False)]


def test_states_left_by_a_process_killed_at_the_very_end_are_removed() -> None:
    done = run_stage("s", 1, {}, {}, build).path
    (done / UNFINISHED).mkdir()
    build(done / UNFINISHED)
    open_again()
    assert sorted(path.name for path in done.iterdir()) == ["number.txt", RECORD]


def test_a_reader_that_fails_gives_one_line_with_stage_file_and_the_way_out() -> None:
    result = run_stage("s", 1, {}, {}, build)
    with pytest.raises(StageError, match=rf"s {result.key}: number\.txt .*delete {result.path} "):
        result.read("number.txt", lambda path: json.loads(path.read_text() + "}"))


@pytest.mark.parametrize(
    ("error", "kind"), [(MemoryError("3 GiB"), MemoryLackError), (PermissionError(13, "Permission denied"), StageError)]
)
def test_what_a_whole_stage_cannot_help_is_not_taken_for_damage(error: Exception, kind: type[Exception]) -> None:
    def reader(path: Path) -> None:
        raise error

    result = run_stage("s", 1, {}, {}, build)
    with pytest.raises(kind, match=rf"s {result.key}: number\.txt ") as caught:
        result.read("number.txt", reader)
    assert "delete" not in str(caught.value)


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
    assert hash_files({"x": a, "y": b}) == hash_files({"y": b, "x": a}) == hash_files({"x": c, "y": b})
    assert len({hash_files(named) for named in ({"x": a}, {"x": b}, {"y": a}, {"x": b, "y": a}, {"x": a, "y": b})}) == 5
    before = hash_files({"x": a})
    a.write_text("2")  # same name and size
    assert hash_files({"x": a}) != before


def test_file_names_need_not_be_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"J\xfcrgen")
    (tmp_path / name).write_text("1")
    assert len(hash_files({name: tmp_path / name})) == 64
