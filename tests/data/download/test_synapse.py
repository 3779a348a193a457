"""synapseclient with a small server on this machine; nothing is sent to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from dainet.data.download.servers import download_synapse
from dainet.data.volume import DataError
from tests.helpers.servers import SECRET, TRAINING, Server, Stub, Synapse, tree, zip_of


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
