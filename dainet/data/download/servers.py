"""Fetch ACDC and Synapse from their owners' servers: resumable, verified, and never outside the target folder."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from dainet.data.download.archive import check_space, is_archive, unpack
from dainet.data.formats.btcv import find_btcv_cases
from dainet.data.volume import Case, DataError
from dainet.errors import needs_extra

__all__ = ["ACDC_API", "ACDC_FOLDER", "BTCV_ENTITY", "download_girder", "download_synapse"]

ACDC_API = "https://humanheart-project.creatis.insa-lyon.fr/database/api/v1"
ACDC_FOLDER = "637218e573e9f0047faa00fc"
BTCV_ENTITY = "syn3379050"  # RawData.zip of the abdomen challenge, project syn3193805

log = logging.getLogger(__name__)
_TERMS = "join the challenge and accept its terms at https://www.synapse.org/Synapse:syn3193805"
_ACCESS = "check the connection; if the folder is no longer public, give the API key of an account with access"
_CHUNK = 1 << 16  # bytes; at most one chunk is lost when the connection breaks


@dataclass(frozen=True)
class RemoteFile:
    """A file on a Girder server."""

    identifier: str
    path: PurePosixPath  # below the target
    size: int  # bytes
    sha512: str  # empty where the server gives none


def download_girder(api_url: str, folder_id: str, target: Path, api_key: str = "") -> list[Path]:
    """Download every file below a folder of a Girder server, keep its folder names, unpack its archives.

    All files are listed before the first byte is written. A file is downloaded as `NAME.part`, resuming where the last
    run stopped, and renamed once its size and SHA-512 (if the server gives one) are correct. girder-client 5 itself
    restarts a broken file from its beginning and compares only the size.

    Args:
        api_url: ends with /api/v1.
        folder_id: the folder on the server.
        target: made where missing; finished files in it are not fetched again.
        api_key: empty for public data.

    Returns:
        The files downloaded, now or before, and those unpacked.

    Raises:
        DataError: girder-client is missing, the server refuses or stops, a file is not what the server announced, or
            the disk is too small.
    """
    with needs_extra("download"):
        library = import_module("girder_client")
    with _girder(library, api_url, api_key) as client:
        log.info("listing the files")
        with _named("the listing", advice=_ACCESS):
            remote = list(_walk(client, folder_id, PurePosixPath()))
        if not remote:
            raise DataError(f"the server lists no files; expected a data set; {_ACCESS}")
        missing = [file for file in remote if not _complete(file, target / file.path)]
        target.mkdir(parents=True, exist_ok=True)
        check_space(sum(file.size for file in missing), target, "the download")
        for number, file in enumerate(missing, start=1):
            log.info("%d of %d: %s, %.1f MB", number, len(missing), file.path, file.size / 1e6)
            _fetch(client, file, target / file.path)
    files = [target / file.path for file in remote]
    return files + [path for file in files if is_archive(file) for path in unpack(file, target)]


def download_synapse(entity: str, target: Path, token: str) -> list[Path]:
    """Download BTCV's training archive from Synapse and unpack it.

    The client resumes a broken download and compares the MD5, but only with one thread: with several it deletes the
    partial file after every failure (synapseclient 4.14).

    Args:
        entity: Synapse's number of the archive, such as "syn3379050".
        target: the archive and its content go here.
        token: personal access token of somebody who accepted the challenge's terms.

    Returns:
        The unpacked training images and labels.

    Raises:
        DataError: synapseclient or the token is missing, Synapse refuses or stops, the archive is damaged or holds no
            pair of image and label.
    """
    if not re.fullmatch(r"syn\d+", entity):
        raise DataError(f"{entity!r} is not a Synapse identifier; expected one such as {BTCV_ENTITY}")
    if not token:
        how = "create a personal access token (view, download) at https://www.synapse.org/PersonalAccessTokens:0"
        raise DataError(f"the Synapse token is missing; {how}, put it in SYNAPSE_AUTH_TOKEN, and {_TERMS}")
    with needs_extra("download"):
        library = import_module("synapseclient")
    target.mkdir(parents=True, exist_ok=True)
    with _named(f"Synapse, {entity}", token, advice=f"check the token, {_TERMS}, and run the same command again"):
        log.info("signing in and downloading %s, which may take long; see the file *.synapse_download_* grow", entity)
        archive = _synapse_archive(library, entity, target, token)
    found = find_btcv_cases(unpack(archive, target))
    training = [path for case in found if isinstance(case, Case) for path in case.files]
    if not training:
        expected = "expected img/imgXXXX.nii.gz and label/labelXXXX.nii.gz"
        raise DataError(f"{archive.name} has no pair of image and label, {expected}; see --entity")
    return training


@contextmanager
def _named(what: str, secret: str = "", advice: str = "run the same command again to resume") -> Iterator[None]:
    """Turn any error of a client library into one line: these share no base class, and some show secrets."""
    try:
        yield
    except Exception as error:
        if isinstance(error, DataError):
            raise
        cause = _cause(error).replace(secret or "\0", "...")
        raise DataError(f"{what}: {cause}; {advice}") from None


def _cause(error: Exception) -> str:
    """Describe an error in one line; of an HTTP error only the status: its text shows the key in the address."""
    if status := getattr(getattr(error, "response", None), "status_code", None):
        return f"the server answers with HTTP status {status}"
    if type(error).__module__.startswith("requests"):
        return f"incomplete answer from the server ({type(error).__name__})"
    text = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]


@contextmanager
def _girder(library: Any, api_url: str, api_key: str) -> Iterator[Any]:
    """Open a client with one persistent connection, retries, and a timeout when the server does not answer."""
    from requests import Session
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    client, session = library.GirderClient(apiUrl=api_url), Session()
    session.request = functools.partial(session.request, timeout=60)  # type: ignore[method-assign]
    with client.session(session):
        if api_key:
            with _named(
                "signing in with the API key", api_key, advice="try again, or make a new key on your account page"
            ):
                client.authenticate(apiKey=api_key)
        # Not before signing in: urllib3 logs the address of each retry, and that of signing in contains the key.
        tries = Retry(3, backoff_factor=0.5, status_forcelist=(502, 503, 504), raise_on_status=False)
        session.mount(api_url, HTTPAdapter(max_retries=tries))
        yield client


def _walk(client: Any, folder_id: str, folder: PurePosixPath) -> Iterator[RemoteFile]:
    """Yield every file below a folder, with names that girder-client makes safe for a path.

    An item is one file, or a folder of files if it holds several, or one of another name.
    """
    for item in client.listItem(folder_id):
        files = list(client.listFile(item["_id"]))
        alone = [file["name"] for file in files] == [item["name"]]
        place = folder if alone else folder / client.transformFilename(item["name"])
        for file in files:
            path, size = place / client.transformFilename(file["name"]), file.get("size")
            if not file["name"] or not isinstance(size, int):
                found = f"{path}: the server gives the name {file['name']!r} and the size {size!r}"
                raise DataError(f"{found}; expected a name and a number of bytes")
            yield RemoteFile(file["_id"], path, size, file.get("sha512") or "")
    for child in client.listFolder(folder_id):
        yield from _walk(client, child["_id"], folder / client.transformFilename(child["name"]))


def _complete(file: RemoteFile, path: Path) -> bool:
    fits = path.is_file() and path.stat().st_size == file.size
    if not fits or not file.sha512:
        return fits
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha512").hexdigest() == file.sha512.lower()


def _fetch(client: Any, file: RemoteFile, final: Path) -> None:
    part = final.with_name(f"{final.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if not part.exists() or part.stat().st_size > file.size:
        part.write_bytes(b"")
    if part.stat().st_size < file.size:
        with _named(str(file.path)):
            _receive(client, file, part)
    size = part.stat().st_size
    if size < file.size:
        raise DataError(f"{file.path}: {size} of {file.size} bytes arrived; run the same command again to resume")
    if not _complete(file, part):
        part.unlink()
        expected = f"{file.size} bytes{' with the SHA-512 of the listing' if file.sha512 else ''}"
        raise DataError(
            f"{file.path}: found {size} wrong bytes, expected {expected}; they are deleted, run the command again"
        )
    os.replace(part, final)


def _receive(client: Any, file: RemoteFile, part: Path) -> None:
    start = part.stat().st_size
    # A compressed answer would neither have the announced size nor start at the right byte.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    get, address = client.sendRestRequest, f"file/{file.identifier}/download"
    answer = get("GET", address, headers=headers, stream=True, jsonResp=False)
    resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    with answer, part.open("ab" if resumed else "wb") as handle:
        for chunk in answer.iter_content(_CHUNK):
            handle.write(chunk)
            if handle.tell() > file.size:
                return  # more bytes than announced: _fetch refuses the file


def _synapse_archive(library: Any, entity: str, target: Path, token: str) -> Path:
    client = library.Synapse(skip_checks=True, silent=True, cache_root_dir=str(target / ".synapse"))
    client.multi_threaded = False  # see download_synapse
    client.login(authToken=token, silent=True)
    handle = client.get(entity, downloadFile=False).get("_file_handle") or {}
    name = handle.get("fileName", "")
    if PureWindowsPath(name).name != name or not is_archive(Path(name)):
        raise DataError(f"{entity} has the file name {name!r}; expected an archive such as RawData.zip; see --entity")
    if not (target / name).exists():
        check_space(handle.get("contentSize") or 0, target, name)
    client.get(entity, downloadLocation=str(target), ifcollision="overwrite.local")
    return target / name
