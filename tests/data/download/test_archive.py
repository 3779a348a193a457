"""Archives are unpacked inside their target, completely or not at all."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from dainet.data.download import archive
from dainet.data.download.archive import unpack
from dainet.data.volume import DataError
from tests.helpers.servers import tree, zip_of


def refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        unpack(tmp_path / "a.zip", tmp_path / "target")
    assert "a.zip" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == {"a.zip"}
    assert not list((tmp_path / "target").iterdir())


def test_archives_are_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of({"Training/": b"", "Training/img/a.nii.gz": b"x" * 5, "b.txt": b""}))
    target = tmp_path / "target"
    (target / ".partial-a.zip").mkdir(parents=True)
    (target / ".partial-a.zip" / "left").write_text("by a killed run")
    (target / "Training").mkdir()
    (target / "Training" / "kept.txt").write_text("by somebody else")
    (target / "b.txt").write_text("old")
    assert unpack(tmp_path / "a.zip", target) == [target / "Training/img/a.nii.gz", target / "b.txt"]
    assert tree(target) == {"Training/img/a.nii.gz", "Training/kept.txt", "b.txt"}
    assert (target / "b.txt").read_bytes() == b""


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "../../../x", "C:/x", "..\\x", "a/..\\..\\x"])
def test_no_member_leaves_the_target(tmp_path: Path, name: str) -> None:
    (tmp_path / "evil.zip").write_bytes(zip_of({"good.txt": b"", name: b"x"}))
    files = unpack(tmp_path / "evil.zip", tmp_path / "a" / "target")
    assert {file.relative_to(tmp_path).as_posix() for file in files} | {"evil.zip"} == tree(tmp_path)
    assert all(file.resolve().is_relative_to(tmp_path / "a" / "target") for file in files)


def test_a_link_is_written_as_a_plain_file(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(info, "/etc/passwd")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    (file,) = unpack(tmp_path / "a.zip", tmp_path / "target")
    assert not file.is_symlink()
    assert file.read_text() == "/etc/passwd"


@pytest.mark.parametrize("damage", ["half", "no end", "one bit", "empty"])
def test_damaged_archives_are_refused(tmp_path: Path, damage: str) -> None:
    content = zip_of({"a": b"xxxxx", "b": b"x" * 2000})
    flipped = bytearray(content)
    flipped[36] ^= 1  # content of a
    versions = {"half": content[: len(content) // 8], "no end": content[:-30], "one bit": bytes(flipped), "empty": b""}
    refused(tmp_path, versions[damage], "unpacked")


def test_an_archive_that_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    refused(tmp_path, zip_of({"a": bytes(10**6)}), "make room")
