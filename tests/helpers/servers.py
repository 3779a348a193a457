"""Servers on this machine that answer like Girder and Synapse, for tests of downloads."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

SECRET = "s3cret-t0ken"
TRAINING = [
    f"RawData/Training/{kind}/{kind}{number}.nii.gz" for number in ("0001", "0002") for kind in ("img", "label")
]


class Server(ThreadingHTTPServer):
    """Files by identifier, sent whole or from the byte asked for; the kinds of server add their own answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()  # the connection of these breaks halfway, once
        self.ranges = True
        self.fetched: list[tuple[str, str]] = []  # identifier, Range
        self.tokens: set[str] = set()
        self.answer: Callable[[str, dict[str, str]], object] = lambda path, query: 404  # JSON, or a status


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        self.server.tokens |= {self.headers.get(name, "") for name in ("Girder-Token", "Authorization")}
        if address.path.endswith("/download"):
            self.send_file(address.path.split("/")[-2])
            return
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        answer = self.server.answer(address.path, {name: values[0] for name, values in parse_qs(address.query).items()})
        status = answer if isinstance(answer, int) else 200
        body = json.dumps(answer if status == 200 else {"reason": "refused"}).encode()
        self.send(status, body, {"Content-Type": "application/json"})

    do_POST = do_GET  # noqa: N815, a name that http.server looks for

    def send_file(self, identifier: str) -> None:
        wanted = self.headers.get("Range", "")
        self.server.fetched.append((identifier, wanted))
        content = self.server.files[identifier]
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        if identifier in self.server.cut:
            self.server.cut.remove(identifier)
            self.send(200, content[: len(content) // 2], {"Content-Length": str(len(content))})
            self.close_connection = True
        else:
            self.send(206 if start else 200, content[start:], headers)

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Girder:
    """A fake Girder with a folder "root"; `add` puts files in it."""

    def __init__(self, server: Server) -> None:
        pytest.importorskip("girder_client", reason="pip install 'dainet[download]'")
        self.server, self.api = server, f"{server.url}/api/v1"
        self.folders: dict[str, str] = {}  # path -> name
        self.items: dict[str, list[dict[str, object]]] = {}
        self.hashes = True
        server.answer = self.answer

    def add(self, names: list[str], content: bytes = b"voxels" * 5000, **values: object) -> str:
        """One file under folders of these names; returns its identifier."""
        place = "root"
        for name in names[:-1]:
            self.folders[f"{place}>{name}"] = name
            place = f"{place}>{name}"
        identifier = f"file{len(self.server.files)}"
        self.server.files[identifier] = content
        record = {"_id": identifier, "name": names[-1], "size": len(content)} | values
        if self.hashes:
            record = {"sha512": hashlib.sha512(content).hexdigest()} | record
        self.items.setdefault(place, []).append(record)
        return identifier

    def answer(self, path: str, query: dict[str, str]) -> object:
        parts = path.removeprefix("/api/v1/").split("/")
        offset = int(query.get("offset", 0))
        if parts == ["folder"]:
            children = [key for key in self.folders if key.rpartition(">")[0] == query["parentId"]]
            return [{"_id": key, "name": self.folders[key]} for key in children][offset : offset + int(query["limit"])]
        if parts == ["item"]:
            return self.items.get(query["folderId"], [])[offset : offset + int(query["limit"])]
        if parts[0] == "item" and parts[2] == "files":
            return [file for files in self.items.values() for file in files if file["_id"] == parts[1]]
        if parts == ["api_key", "token"]:
            return {"authToken": {"token": "session-token"}, "user": {}} if query["key"] == SECRET else 401
        return 404


class Synapse:
    """A fake of the three services that synapseclient calls; RawData.zip is its only file."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        client = pytest.importorskip("synapseclient.client", reason="pip install 'dainet[download]'")
        for name in ("repo", "auth", "fileHandle"):
            monkeypatch.setitem(client.PRODUCTION_ENDPOINTS, f"{name}Endpoint", f"{server.url}/{name}/v1")
        self.server, self.unmet = server, False
        content = btcv_zip()
        server.files["77"] = content
        self.handle = {
            "id": "77",
            "concreteType": "org.sagebionetworks.repo.model.file.S3FileHandle",
            "fileName": "RawData.zip",
            "contentSize": len(content),
            "contentMd5": hashlib.md5(content).hexdigest(),
            "storageLocationId": 1,
        }
        server.answer = self.answer

    def answer(self, path: str, query: dict[str, str]) -> object:
        if path.endswith("/userProfile"):
            right = f"Bearer {SECRET}" in self.server.tokens
            return {"userName": "someone", "ownerId": "1"} if right else 401
        if path.endswith("/fileHandle/batch"):
            url = f"{self.server.url}/77/download"
            return {"requestedFiles": [{"fileHandleId": "77", "fileHandle": self.handle, "preSignedURL": url}]}
        if path.endswith("/bundle2"):
            file_entity = "org.sagebionetworks.repo.model.FileEntity"
            entity: dict[str, object] = {"id": "syn1", "name": "RawData.zip", "concreteType": file_entity}
            entity |= {"parentId": "syn2", "dataFileHandleId": "77", "versionNumber": 1, "etag": "e"}
            unmet = {"hasUnmetAccessRequirement": self.unmet}
            parts = {
                "entity": entity,
                "entityType": "file",
                "annotations": {"id": "syn1", "etag": "e", "annotations": {}},
            }
            return parts | {"fileHandles": [self.handle], "restrictionInformation": unmet}
        return 404


def btcv_zip() -> bytes:
    random = bytes(hashlib.sha256(str(i).encode()).digest()[0] for i in range(30000))
    return zip_of(dict.fromkeys([*TRAINING, "RawData/Testing/img/img0061.nii.gz"], random))


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


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
