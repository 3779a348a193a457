"""Packages of npm, from a registry on this machine."""

from __future__ import annotations

import hashlib
import io
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from book import npm
from dainet.errors import InputError


def write_package(path: Path) -> str:
    """Write what npm would serve; return its integrity, spelled as npm prints it."""
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("package/dist/small.js")
        entry.size = 8
        archive.addfile(entry, io.BytesIO(b"let a=1;"))
    return "sha512-" + b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """Serve one package, `small` 1.2.3, from a folder; what is fetched goes to a folder of the test."""
    served = tmp_path / "served"
    integrity = write_package(served / "small" / "-" / "small-1.2.3.tgz")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(served)))
    monkeypatch.setattr(npm, "_PACKAGES", {"small": ("1.2.3", integrity)})
    monkeypatch.setattr(npm, "_STORE", tmp_path / "npm")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{server.server_port}/")
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_package_is_unpacked_once_and_needs_no_network_afterwards(registry: ThreadingHTTPServer) -> None:
    folder = npm.fetch("small")
    assert (folder / "dist" / "small.js").read_bytes() == b"let a=1;"
    registry.shutdown()
    registry.server_close()
    assert npm.fetch("small") == folder
    assert [path.name for path in folder.parent.iterdir()] == ["small-1.2.3"]


def test_a_package_with_another_hash_is_refused_and_not_kept(
    registry: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(npm, "_PACKAGES", {"small": ("1.2.3", "sha512-AAAA")})
    with pytest.raises(InputError, match=r"sha512-(?!AAAA).*expected sha512-AAAA"):
        npm.fetch("small")
    assert not (tmp_path / "npm").exists()


@pytest.mark.parametrize("missing", ["server", "package"])
def test_without_network_or_package_the_error_names_address_and_remedy(
    registry: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    if missing == "server":
        registry.shutdown()
        registry.server_close()
    else:
        (tmp_path / "served" / "small" / "-" / "small-1.2.3.tgz").unlink()
    with pytest.raises(InputError, match=r"small/-/small-1\.2\.3\.tgz .*NPM_CONFIG_REGISTRY"):
        npm.fetch("small")


def test_builds_at_the_same_time_fetch_one_package(registry: ThreadingHTTPServer, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as builds:
        folders = list(builds.map(npm.fetch, ["small"] * 4))
    assert {path.name for path in folders[0].iterdir()} == {"dist"}
    assert list((tmp_path / "npm").iterdir()) == [folders[0]]


def test_an_interrupted_unpacking_is_begun_again(
    registry: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractall", interrupted)
        with pytest.raises(KeyboardInterrupt):
            npm.fetch("small")
    assert list((tmp_path / "npm").iterdir()) == []
    assert [path.name for path in npm.fetch("small").iterdir()] == ["dist"]


def interrupted(archive: tarfile.TarFile, folder: str, **options: str) -> None:
    """Unpack a part, and then stop as Ctrl-C does."""
    (Path(folder) / "package").mkdir()
    raise KeyboardInterrupt


def test_every_package_has_an_exact_version_and_a_sha512() -> None:
    for version, integrity in npm._PACKAGES.values():
        assert version.replace(".", "").isdigit()
        assert len(integrity) == len("sha512-") + 88  # 64 bytes in base64
