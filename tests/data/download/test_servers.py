"""The real client libraries with small servers on this machine; nothing is sent to others."""

from __future__ import annotations

import runpy
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from dainet.data.download import servers
from dainet.data.download.servers import download_girder, download_synapse
from dainet.data.volume import DataError
from tests.helpers import REPOSITORY
from tests.helpers.servers import SECRET, TRAINING, Girder, Server, Synapse, btcv_zip, tree, zip_of

SCRIPTS = REPOSITORY / "data_scripts"


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def girder(server: Server) -> Girder:
    return Girder(server)


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


# ---- Synapse


@pytest.fixture
def synapse(server: Server, monkeypatch: pytest.MonkeyPatch) -> Synapse:
    return Synapse(server, monkeypatch)


def test_synapse_is_downloaded_once_and_unpacked(synapse: Synapse, tmp_path: Path) -> None:
    files = download_synapse("syn1", tmp_path, SECRET)
    assert [path.relative_to(tmp_path).as_posix() for path in files] == TRAINING
    assert all(path.is_file() for path in files)
    download_synapse("syn1", tmp_path, SECRET)
    assert len(synapse.server.fetched) == 1
    assert not any(SECRET in path.read_text(errors="ignore") for path in (tmp_path / ".synapse").rglob("*.cacheMap"))


def test_an_interrupted_synapse_download_resumes(synapse: Synapse, tmp_path: Path) -> None:
    synapse.server.cut = {"77"}
    files = download_synapse("syn1", tmp_path, SECRET)  # synapseclient tries again by itself
    (_, first), (_, second) = synapse.server.fetched
    assert first == ""
    assert second.startswith("bytes=")
    assert len(files) == 4


def test_synapse_resumes_where_a_killed_run_stopped(synapse: Synapse, tmp_path: Path) -> None:
    from synapseclient.core.utils import temp_download_filename

    content = synapse.server.files["77"]
    synapse.handle["contentSize"] = 1 << 24  # from 8 MiB on, synapseclient uses threads and starts from nothing
    Path(temp_download_filename(str(tmp_path / "RawData.zip"), "77")).write_bytes(content[:1000])
    download_synapse("syn1", tmp_path, SECRET)
    assert synapse.server.fetched == [("77", "bytes=1000-")]


def test_a_wrong_md5_from_synapse_is_refused(synapse: Synapse, tmp_path: Path) -> None:
    synapse.handle["contentMd5"] = "0" * 32
    with pytest.raises(DataError, match=r"(?i)syn1: .*md5"):
        download_synapse("syn1", tmp_path, SECRET)
    assert "RawData.zip" not in tree(tmp_path)


def test_synapse_refuses_a_wrong_token_without_showing_it(
    synapse: Synapse, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DataError, match=r"AuthenticationError.*token") as caught:
        download_synapse("syn1", tmp_path, f"{SECRET}-of-yesterday")
    shown = capfd.readouterr()
    assert SECRET not in str(caught.value) + shown.out + shown.err + caplog.text


def test_terms_that_were_not_accepted_are_named(synapse: Synapse, tmp_path: Path) -> None:
    synapse.unmet = True
    with pytest.raises(DataError, match=r"terms.*https://www.synapse.org/Synapse:syn3193805"):
        download_synapse("syn1", tmp_path, SECRET)
    assert not synapse.server.fetched


@pytest.mark.parametrize("name", ["../RawData.zip", "/x.zip", "C:\\x.zip", "RawData.txt"])
def test_synapse_file_names_are_checked_first(synapse: Synapse, tmp_path: Path, name: str) -> None:
    synapse.handle["fileName"] = name
    with pytest.raises(DataError, match=r"archive.*RawData.zip"):
        download_synapse("syn1", tmp_path / "btcv", SECRET)
    assert not synapse.server.fetched


class Stub:
    """As much of synapseclient.Synapse as is used here: where synapseclient is missing, our half is still tested."""

    content = b""

    def __init__(self, **values: object) -> None:
        assert values["skip_checks"]
        assert values["silent"]

    def login(self, authToken: str, silent: bool) -> None:  # noqa: N803, the client's names
        assert authToken == SECRET
        assert silent

    def get(self, entity: str, downloadLocation: str = "", **values: object) -> dict[str, object]:  # noqa: N803
        if downloadLocation:
            Path(downloadLocation, "RawData.zip").write_bytes(self.content)
        return {"_file_handle": {"fileName": "RawData.zip", "contentSize": len(self.content)}}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> type[Stub]:
    monkeypatch.setitem(sys.modules, "synapseclient", SimpleNamespace(Synapse=Stub))
    monkeypatch.setattr(Stub, "content", btcv_zip())
    return Stub


def test_the_training_files_are_found(stub: type[Stub], tmp_path: Path) -> None:
    files = download_synapse("syn1", tmp_path, SECRET)
    assert [path.relative_to(tmp_path).as_posix() for path in files] == TRAINING


def test_an_archive_without_training_files_is_refused(stub: type[Stub], tmp_path: Path) -> None:
    stub.content = zip_of({"RawData/Testing/img/img0061.nii.gz": b"x"})
    with pytest.raises(DataError, match=r"(?i)image.*label"):
        download_synapse("syn1", tmp_path, SECRET)


def test_what_the_client_raises_becomes_one_line_without_the_token(
    stub: type[Stub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **values: object) -> None:
        raise RuntimeError(f"403 Forbidden\nBearer {SECRET}")

    monkeypatch.setattr(stub, "get", refuse)
    with pytest.raises(DataError, match=r"syn1: .*403 Forbidden Bearer \.\.\..*token") as caught:
        download_synapse("syn1", tmp_path, SECRET)
    assert "\n" not in str(caught.value)


# ---- tokens and command lines


def script(name: str, *arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    out, err = StringIO(), StringIO()
    with (
        patch.object(sys, "argv", [name, *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as stopped,
    ):
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    status = stopped.value.code
    if isinstance(status, str):  # printed by the interpreter, which then ends with 1
        return 1, out.getvalue(), f"{err.getvalue()}{status}\n"
    return int(status or 0), out.getvalue(), err.getvalue()


def test_acdc_from_the_command_line(girder: Girder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    girder.add(["training", "patient001", "Info.cfg"])
    monkeypatch.setattr(servers, "ACDC_API", girder.api)
    monkeypatch.setattr(servers, "ACDC_FOLDER", "root")
    monkeypatch.setenv("GIRDER_API_KEY", f"{SECRET}\n")
    status, out, err = script("download_acdc", tmp_path / "acdc")
    assert status == 0
    assert out.startswith("1 files in")
    assert SECRET not in out + err
    girder.add(["large"], size=10**18)
    status, out, err = script("download_acdc", tmp_path / "acdc")
    assert status == 1
    assert out == ""
    assert err.splitlines()[-1].startswith("dainet: the download needs 1000000000.0 GB")


def test_synapse_from_the_command_line(stub: type[Stub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNAPSE_AUTH_TOKEN", SECRET)
    status, out, err = script("download_synapse", tmp_path)
    assert status == 0
    assert out.startswith("4 training files")
    assert SECRET not in out + err


@pytest.mark.parametrize(("entity", "message"), [("syn1", "personal access token"), ("../x", "../x")])
def test_synapse_says_in_one_line_how_to_get_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entity: str, message: str
) -> None:
    monkeypatch.delenv("SYNAPSE_AUTH_TOKEN", raising=False)
    status, out, err = script("download_synapse", tmp_path / "btcv", "--entity", entity)
    assert status == 1
    assert out == ""
    assert len(err.splitlines()) == 1
    assert message in err
    assert not (tmp_path / "btcv").exists()


@pytest.mark.parametrize(
    ("name", "library"), [("download_acdc", "girder_client"), ("download_synapse", "synapseclient")]
)
def test_a_missing_library_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setenv("SYNAPSE_AUTH_TOKEN", SECRET)
    status, _, err = script(name, tmp_path)
    assert status == 1
    assert len(err.splitlines()) == 1
    assert "pip install 'dainet[download]'" in err
