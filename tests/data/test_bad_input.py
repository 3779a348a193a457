"""Bad input gives one line that names case and file; other cases are still checked, and no partial files are left.

This file covers permissions, disks, links, names and the command line. Damaged files are in formats/test_bad_nifti.py
and formats/test_bad_copies.py, a test case in DINO's training set in tests/dino/test_training.py, and a patient in two
splits also in tests/protocol/test_protocol.py.
"""

from __future__ import annotations

import codecs
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dainet.data.check import check_source
from dainet.data.prepared import run_prepared
from dainet.data.volume import DataError
from tests.helpers import REPOSITORY
from tests.helpers.formats import nnunet, source
from tests.helpers.refusals import left_in, raw_acdc, refused, settings

PREPARE = REPOSITORY / "data_scripts" / "prepare.py"
NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything, so tests of permissions give its rights up."""
    codecs.lookup("utf-8-sig")  # the user "nobody" may not be able to read Python's own files
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may enter, with a runs folder that everybody may write."""
    if not hasattr(os, "seteuid"):
        pytest.skip("no POSIX permissions")
    folder = Path(tempfile.mkdtemp())
    (folder / "runs").mkdir()
    for path, mode in ((folder, 0o755), (folder / "runs", 0o777)):
        path.chmod(mode)
    monkeypatch.setenv("DAINET_RUNS", str(folder / "runs"))
    yield folder
    for path in (folder / "data", *(folder / "data").rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [
        (
            "patient002/patient002_frame01.nii.gz",
            0,
            r"patient002_ED: .*frame01.nii.gz .*Permission denied.*allow",
        ),
        ("patient002/Info.cfg", 0, r"patient002: Info.cfg .*Permission denied.*allow"),
        ("patient002", 0, r"data/patient002 .*Permission denied.*allow"),
        ("patient002", 0o444, r"patient002: Info.cfg .*Permission denied.*allow"),
    ],
)
def test_what_may_not_be_read(public: Path, name: str, mode: int, words: str) -> None:
    raw_acdc(public / "data")
    (public / "data" / name).chmod(mode)
    with as_nobody():
        report = refused(public / "data", public / "runs", words)
    assert {"patient001_ED", "patient001_ES"} <= set(report.cases["case_id"])


def test_a_source_that_may_not_be_read(public: Path) -> None:
    raw_acdc(public / "data")
    (public / "data").chmod(0)
    with as_nobody(), pytest.raises(DataError, match=r"data.*acdc.*Permission denied"):
        check_source(settings(public / "data"))
    with as_nobody(), pytest.raises(DataError, match=r"patient001.*folder"):
        check_source(settings(public / "data" / "patient001"))


def test_a_full_disk(tmp_path: Path, runs: Path) -> None:
    """The system refuses to write more, at several places; once there is room, the same call succeeds."""
    raw_acdc(tmp_path / "data")
    script = """
import resource, sys
from dainet.data.prepared import run_prepared
from dainet.settings import DataSettings
from dainet.cache.folders import StageError, runs_folder
for limit in (100, 1_000, 6_000, 20_000, resource.RLIM_INFINITY):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        print(len(run_prepared(DataSettings(source=sys.argv[1]), 64).images))
    except StageError as error:
        print(error)
    print(len(list((runs_folder() / "prepared").iterdir())))
"""
    pytest.importorskip("resource")
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    lines = done.stdout.splitlines()
    assert lines[1::2] == ["0", "0", "0", "0", "1"], done.stdout + done.stderr
    full = r".*runs.*File too large.*free space.*DAINET_RUNS.*"
    assert all(re.fullmatch(full, line) for line in lines[:-2:2]), done.stdout
    assert lines[-2] == "12", done.stdout


def test_loops_of_links_end(h5_source: Path) -> None:
    (h5_source / "self").symlink_to("self")
    (h5_source / "loop").symlink_to(h5_source)
    (h5_source / "a").mkdir()
    (h5_source / "b").mkdir()
    (h5_source / "a" / "to_b").symlink_to(h5_source / "b")
    (h5_source / "b" / "to_a").symlink_to(h5_source / "a")
    data = source(h5_source)
    assert len(data.cases) == 12
    assert not data.problems


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    raw_acdc(tmp_path / "elsewhere")
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "link").symlink_to(tmp_path / "data" / "z" / "patient001")
    shutil.move(tmp_path / "elsewhere" / "patient001", tmp_path / "data" / "z" / "patient001")
    (tmp_path / "data" / "patient002").symlink_to(tmp_path / "elsewhere" / "patient002")
    data = source(tmp_path / "data")
    assert {case.patient for case in data.cases} == {"patient001", "patient002"}
    assert not data.problems
    assert len(run_prepared(settings(tmp_path / "data"), 32).images) == 12


def test_names_with_spaces_and_other_letters(tmp_path: Path) -> None:
    folder = tmp_path / "Daten für Ärzte" / "心 데이터"
    folder.mkdir(parents=True)
    nnunet(folder, names=("leber ä", "心 b", "žluč c"))
    report = check_source(settings(folder, "custom"))
    assert sorted(report.cases["case_id"]) == ["leber ä", "žluč c", "心 b"]
    assert not report.problems
    prepared = run_prepared(settings(folder, "custom"), 32)
    test_cases = list(prepared.volumes("test"))
    assert test_cases
    assert prepared.native_label(test_cases[0])[0].shape == (3, 40, 36)


def test_a_name_in_another_encoding_is_shown_escaped_and_the_others_are_read(tmp_path: Path) -> None:
    """As old archives unpack them: bytes that are not UTF-8."""
    nnunet(tmp_path, names=("a", "b", "leber"))
    try:
        for name in ("imagesTr/leber_0000.nii.gz", "labelsTr/leber.nii.gz"):
            right = os.fsencode(tmp_path / name)
            os.rename(right, right.replace(b"leber", b"leb\xe4r"))
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    report = check_source(settings(tmp_path, "custom"))
    assert list(report.cases["case_id"]) == ["a", "b"]
    assert [r"leb\udce4r_0000.nii.gz" in problem for problem in report.problems] == [True]
    with pytest.raises(DataError, match="PYTHONUTF8"):
        run_prepared(settings(tmp_path, "custom"), 32)


# Windows


def test_a_windows_path_elsewhere_is_not_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^data.source.*C:\\data\\ACDC.*folder"):
        check_source(settings(Path("C:\\data\\ACDC")))


def test_a_split_file_from_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw_acdc(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    name = "C:\\Users\\Ada\\mine.csv"  # elsewhere a valid file name
    (tmp_path / name).write_bytes(b"\xef\xbb\xbfpatient,split\r\npatient001,test\r\npatient002,train\r\n")
    prepared = run_prepared(settings(tmp_path / "data", split=name), 32)
    assert prepared.about["split"] == "mine.csv"
    splits = prepared.cases.groupby("patient")["split"].first()
    assert splits.to_dict() == {"patient001": "test", "patient002": "train"}


def test_a_patient_in_two_splits(tmp_path: Path, runs: Path) -> None:
    raw_acdc(tmp_path / "data")
    split = tmp_path / "mine.csv"
    split.write_text("patient,split\npatient001,train\npatient002,test\npatient001,test\n")
    with pytest.raises(ValueError, match=r"^mine.csv: .*patient001[^\n]*one split[^\n]*$"):
        run_prepared(settings(tmp_path / "data", split=str(split)), 32)
    assert left_in(runs) == []


def test_no_path_leaks_into_records_and_a_moved_source_is_recognized(tmp_path: Path) -> None:
    raw_acdc(tmp_path / "data")
    first = run_prepared(settings(tmp_path / "data"), 32).result
    records = [path.read_bytes() for path in first.path.rglob("*") if path.is_file()]
    assert len(records) >= 5
    assert not any(str(tmp_path).encode() in record for record in records)
    shutil.move(tmp_path / "data", tmp_path / "moved")
    assert run_prepared(settings(tmp_path / "moved"), 32).result == first


# The command line; without problems it is in test_check.py


@pytest.mark.parametrize("outcome", ["bad", "nowhere"])
def test_the_command_line(outcome: str, tmp_path: Path) -> None:
    if outcome == "bad":
        raw_acdc(tmp_path / "bad").image.write_bytes(b"")
    command = [sys.executable, str(PREPARE), "check", "--dataset", "acdc", "--source", str(tmp_path / outcome)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if outcome == "nowhere":
        assert re.fullmatch(r"dainet: data.source .*nowhere\" .*folder.*\n", done.stderr)
        assert not done.stdout
    else:
        assert re.search("PROBLEM: patient002_ED: .*patient002_frame01.nii.gz", done.stdout)
        assert "patient001_ES" in done.stdout
        assert not done.stderr.count("dainet:")
