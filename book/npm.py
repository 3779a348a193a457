"""Packages of the npm registry, fetched once by exact version and hash; the site carries the files it needs of them."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from dainet.errors import InputError

__all__ = ["fetch"]

# Version, and integrity as `npm view NAME@VERSION dist.integrity` prints it. MathJax 4 loads its fonts from elsewhere.
_PACKAGES = {
    "mathjax": (
        "3.2.2",
        "sha512-Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
    ),
    "onnxruntime-web": (
        "1.30.0",
        "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    ),
}
_STORE = Path(__file__).parent / "_build" / "npm"
_SECONDS = 60  # without a byte from the registry
_TRIES = 3


def fetch(name: str) -> Path:
    """Return the folder of a package's files, fetched only if `book/_build/npm` lacks it.

    The registry is npm's, or the one that `NPM_CONFIG_REGISTRY` names, as for npm itself.

    Raises:
        InputError: the registry cannot be reached, does not send the package, or sends another one.
    """
    version, integrity = _PACKAGES[name]
    folder = _STORE / f"{name}-{version}"
    if not folder.is_dir():
        registry = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
        address = f"{registry}/{name}/-/{name}-{version}.tgz"
        content = _download(address, folder)
        found = "sha512-" + b64encode(hashlib.sha512(content).digest()).decode()
        if found != integrity:
            raise InputError(
                f"{address} has the hash {found}, expected {integrity}: it is not the package that the book was"
                f" written for; ask another registry (NPM_CONFIG_REGISTRY), or check the version in book/npm.py"
            )
        _unpack(content, folder)
    return folder


def _download(address: str, folder: Path) -> bytes:
    problem = ""
    for _ in range(_TRIES):
        try:
            answer = requests.get(address, timeout=_SECONDS)
            answer.raise_for_status()
            return answer.content
        except requests.RequestException as error:
            problem = f"{type(error).__name__}: {error}"
    raise InputError(
        f"{address} cannot be fetched ({problem}); connect to the network, name a registry that can be reached"
        f" (NPM_CONFIG_REGISTRY), or copy {folder} from a machine that has built the book"
    )


def _unpack(content: bytes, folder: Path) -> None:
    """Unpack what npm packs into a folder `package`; an interrupted build leaves no half of it there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as half, tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(half, filter="data")
        if not folder.is_dir():  # another build may have fetched it meanwhile
            (Path(half) / "package").rename(folder)
