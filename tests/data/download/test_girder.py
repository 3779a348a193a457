"""girder-client with a small server on this machine; nothing is sent to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dainet.data.download.servers import download_girder
from dainet.data.volume import DataError
from tests.helpers.servers import SECRET, Girder, tree, zip_of


def fetch(girder: Girder, target: Path, key: str = "") -> list[str]:
    return [path.relative_to(target).as_posix() for path in download_girder(girder.api, "root", target, key)]


def test_a_whole_folder_tree_is_downloaded_once(girder: Girder, tmp_path: Path) -> None:
    expected = [f"training/patient{number:03d}/Info.cfg" for number in range(60)]  # more than one page of folders
    for name in expected:
        girder.add(name.split("/"), name.encode())
    girder.add(["empty.txt"], b"")
    assert sorted(fetch(girder, tmp_path / "acdc")) == sorted(["empty.txt", *expected])
    assert (tmp_path / "acdc" / expected[7]).read_text() == expected[7]
    requests = len(girder.server.fetched)
    fetch(girder, tmp_path / "acdc")
    assert len(girder.server.fetched) == requests == 60  # an empty file needs no request


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_resumes(girder: Girder, tmp_path: Path, ranges: bool) -> None:
    girder.server.ranges = ranges
    content = bytes(range(256)) * 2000
    first, second = girder.add(["training", "a.nii.gz"]), girder.add(["training", "b.nii.gz"], content)
    girder.server.cut = {second}
    with pytest.raises(DataError, match=r"training/b.nii.gz: .*run the same command again"):
        fetch(girder, tmp_path)
    part = tmp_path / "training" / "b.nii.gz.part"
    assert tree(tmp_path) == {"training/a.nii.gz", "training/b.nii.gz.part"}
    assert 0 < part.stat().st_size < len(content)
    wanted = f"bytes={part.stat().st_size}-"
    fetch(girder, tmp_path)
    assert girder.server.fetched == [(first, ""), (second, ""), (second, wanted)]
    assert (tmp_path / "training" / "b.nii.gz").read_bytes() == content
    assert not part.exists()


def test_a_finished_file_that_changed_is_fetched_again(girder: Girder, tmp_path: Path) -> None:
    girder.add(["a.txt"], b"right")
    fetch(girder, tmp_path)
    (tmp_path / "a.txt").write_bytes(b"wrong")  # the size still fits
    fetch(girder, tmp_path)
    assert (tmp_path / "a.txt").read_bytes() == b"right"


@pytest.mark.parametrize(
    ("announced", "message"),
    [
        ({"sha512": "0" * 128}, "a.txt.*SHA-512"),
        ({"size": 3}, "a.txt.*3 bytes"),
        ({"size": 90}, "a.txt.*5 .*90 bytes"),
    ],
)
def test_a_file_that_is_not_what_was_announced_is_refused(
    girder: Girder, tmp_path: Path, announced: dict[str, Any], message: str
) -> None:
    girder.add(["a.txt"], b"right", **announced)
    with pytest.raises(DataError, match=message):
        fetch(girder, tmp_path)
    assert tree(tmp_path) <= {"a.txt.part"}


EVIL = ["..", "../x", "/etc/x", "//x", "a/../../x", "../../../x", "..\\x"]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("as_folder", [True, False])
def test_no_name_leaves_the_target(girder: Girder, tmp_path: Path, name: str, as_folder: bool) -> None:
    girder.add([name, "x"] if as_folder else [name])
    (file,) = fetch(girder, tmp_path / "a" / "b")
    assert tree(tmp_path) == {f"a/b/{file}"}
    assert (tmp_path / "a" / "b" / file).resolve().is_relative_to(tmp_path / "a" / "b")


@pytest.mark.parametrize("name", ["", "x\0y"])
def test_a_name_that_no_file_can_have_is_refused(girder: Girder, tmp_path: Path, name: str) -> None:
    girder.add([name])
    with pytest.raises(ValueError, match=r"name|null byte"):
        fetch(girder, tmp_path / "a" / "b")
    assert tree(tmp_path) == set()


def test_a_folder_without_visible_files_is_refused(girder: Girder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"files.*API key"):
        fetch(girder, tmp_path)


def test_an_item_with_several_files_becomes_a_folder(girder: Girder, tmp_path: Path) -> None:
    girder.add(["item"], b"1")
    files = [{"_id": "file0", "name": name, "size": 1} for name in ("one", "two")]
    answer = girder.server.answer
    girder.server.answer = lambda path, query: files if path.endswith("/files") else answer(path, query)
    assert fetch(girder, tmp_path) == ["item/one", "item/two"]


def test_an_archive_is_unpacked(girder: Girder, tmp_path: Path) -> None:
    girder.add(["ACDC.zip"], zip_of({"training/patient001/Info.cfg": b"ED: 1"}))
    assert fetch(girder, tmp_path) == ["ACDC.zip", "training/patient001/Info.cfg"]


def test_a_download_that_does_not_fit_is_refused_first(girder: Girder, tmp_path: Path) -> None:
    girder.add(["a.txt"], size=10**18)
    with pytest.raises(DataError, match=r"1000000000\.0 GB.*make room"):
        fetch(girder, tmp_path)
    assert not girder.server.fetched


def test_the_api_key_signs_in_and_is_never_shown(
    girder: Girder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    girder.add(["a.txt"])
    fetch(girder, tmp_path, SECRET)
    assert "session-token" in girder.server.tokens
    wrong = f"{SECRET}-of-yesterday"  # girder-client's own message shows the address with the key
    with pytest.raises(DataError, match=r"API key.*401.*make a new key") as caught:
        fetch(girder, tmp_path, wrong)
    assert SECRET not in str(caught.value)
    assert SECRET not in caplog.text


def test_the_api_key_is_not_shown_when_the_server_is_away(
    girder: Girder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DataError, match=r"API key.*server") as caught:
        download_girder("http://127.0.0.1:1/api/v1", "root", tmp_path, SECRET)
    assert SECRET not in str(caught.value)
    assert SECRET not in caplog.text
