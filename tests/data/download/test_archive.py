"""Archives are unpacked inside their target or refused as a whole."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from dainet.data.download import archive
from dainet.data.download.archive import unpack
from dainet.data.volume import DataError
from tests.helpers.servers import tree, zip_of


def tar_of(*members: tarfile.TarInfo, mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as opened:
        for member in members:
            opened.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def member(name: str, size: int = 5, **values: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in values.items():
        setattr(info, key, value)
    return info


def refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        unpack(tmp_path / name, tmp_path / "a" / "target")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == {name}
    assert not list((tmp_path / "a" / "target").iterdir())


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz"])
def test_archives_are_unpacked(tmp_path, name):
    members = [member("./Training", 0, type=tarfile.DIRTYPE), member("Training/img/a.nii.gz"), member("./b.txt", 0)]
    content = tar_of(*members, mode="w" if name == "a.tar" else "w:gz")
    if name == "a.zip":
        content = zip_of({"Training/": b"", "Training/img/a.nii.gz": b"x" * 5, "b.txt": b""})
    (tmp_path / name).write_bytes(content)
    target = tmp_path / "target"
    (target / f".partial-{name}").mkdir(parents=True)
    (target / f".partial-{name}" / "left").write_text("by a killed run")
    (target / "b.txt").write_text("old")
    assert unpack(tmp_path / name, target) == [target / "Training/img/a.nii.gz", target / "b.txt"]
    assert tree(target) == {"Training/img/a.nii.gz", "b.txt"}
    assert (target / "b.txt").read_bytes() == b""


EVIL_MEMBERS = ["../x", "/x", "a/../../x", "C:/x", "C:\\x", "..\\x", "a/..\\..\\x"]


@pytest.mark.parametrize("name", EVIL_MEMBERS)
def test_members_that_leave_the_target_are_refused(tmp_path, name):
    refused(tmp_path, "evil.zip", zip_of({"good.txt": b"", name: b"x"}), "evil.zip: .*x' is not allowed")
    (tmp_path / "evil.zip").unlink()
    refused(tmp_path, "evil.tar.gz", tar_of(member("good.txt"), member(name)), "evil.tar.gz: .*x' is not allowed")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    content = tar_of(member("good.txt"), member("bad", 0, type=kind, linkname="good.txt"))
    refused(tmp_path, "a.tar.gz", content, "'bad' is a link or a device")


def test_links_in_a_zip_are_refused(tmp_path):
    info = zipfile.ZipInfo("bad")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(info, "/etc/passwd")
    refused(tmp_path, "a.zip", buffer.getvalue(), "'bad' is a link or a device")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("damage", ["half", "no end", "one bit", "empty"])
def test_damaged_archives_are_refused(tmp_path, name, damage):
    content = tar_of(member("a", 5), member("b", 2000), mode="w" if name == "a.tar" else "w:gz")
    if name == "a.zip":
        content = zip_of({"a": b"xxxxx", "b": b"x" * 2000})
    end = {"a.zip": -30, "a.tar": 3 * 512 + 2048, "a.tar.gz": -8}[name]  # a.tar: both members, no end mark
    flipped = bytearray(content)
    flipped[{"a.zip": 36, "a.tar": 1034, "a.tar.gz": -6}[name]] ^= 1  # content; name in a header; CRC
    versions = {"half": content[: len(content) // 8], "no end": content[:end], "one bit": bytes(flipped), "empty": b""}
    refused(tmp_path, name, versions[damage], "cannot be unpacked")


def test_an_archive_that_does_not_fit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    refused(tmp_path, "bomb.zip", zip_of({"a": bytes(10**6)}), "bomb.zip unpacked needs .*make room")
