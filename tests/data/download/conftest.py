"""A small server on this machine, and a stand-in for synapseclient."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.helpers.servers import Girder, Server, Stub, btcv_zip


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


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> type[Stub]:
    monkeypatch.setitem(sys.modules, "synapseclient", SimpleNamespace(Synapse=Stub))
    monkeypatch.setattr(Stub, "content", btcv_zip())
    return Stub
