"""Kernels of the explorer's page, without a server: the limit, kernels at work, and pages that are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from tornado.web import HTTPError

from dainet.explorer import kernels
from dainet.explorer.kernels import PageKernels, pages_in_memory

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@asynccontextmanager
async def one_kernel(folder: Path) -> AsyncIterator[tuple[PageKernels, str, Any]]:
    """Start the only kernel that is allowed; gives its manager, its identifier and what the manager knows of it."""
    manager = PageKernels(pages=1, connection_dir=str(folder), cull_idle_timeout=60, cull_interval=3600)
    try:
        name = await manager.start_kernel()
        kernel: Any = manager.get_kernel(name)
        kernel.execution_state = "idle"
        yield manager, name, kernel
    finally:
        await manager.shutdown_all(now=True)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_those_who_come_at_the_same_moment_get_no_more_than_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_TRIES", 1)

    async def work() -> None:
        manager = PageKernels(pages=1, connection_dir=str(tmp_path))
        found = await asyncio.gather(*(manager.start_kernel() for _ in range(3)), return_exceptions=True)
        refused = [error for error in found if isinstance(error, HTTPError)]
        assert len(manager) == 1
        assert [error.status_code for error in refused] == [503, 503]
        await manager.shutdown_all(now=True)

    run(work)


def test_a_kernel_at_work_outlives_its_page(tmp_path: Path) -> None:
    async def work() -> None:
        async with one_kernel(tmp_path) as (manager, name, kernel):
            kernel.last_activity, kernel.execution_state = LONG_AGO, "busy"
            await manager.shutdown_kernel(name)
            await manager.cull_kernel_if_idle(name)
            assert name in manager
            kernel.execution_state = "idle"
            with pytest.MonkeyPatch.context() as patch:  # a training in a process of its own
                patch.setattr(psutil.Process, "children", lambda process: [process])
                await manager.shutdown_kernel(name)
                await manager.cull_kernel_if_idle(name)
                assert name in manager
            await manager.shutdown_kernel(name)
            assert name not in manager

    run(work)


def test_the_time_of_a_lost_page_begins_with_the_loss(tmp_path: Path) -> None:
    async def work() -> None:
        async with one_kernel(tmp_path) as (manager, name, kernel):
            manager.notify_connect(name)
            kernel.last_activity = LONG_AGO  # its visitor reads
            await manager.cull_kernel_if_idle(name)
            manager.notify_disconnect(name)
            await manager.cull_kernel_if_idle(name)
            assert name in manager
            kernel.last_activity = LONG_AGO
            await manager.cull_kernel_if_idle(name)
            assert name not in manager
            with pytest.raises(HTTPError, match="404"):  # asked for by the lost page, when it is closed
                await manager.shutdown_kernel(name)

    run(work)


def test_a_page_that_never_comes_has_more_time(tmp_path: Path) -> None:
    async def work() -> None:
        async with one_kernel(tmp_path) as (manager, name, kernel):
            kernel.last_activity = datetime.now(UTC) - timedelta(minutes=3)  # loading over a slow line
            await manager.cull_kernel_if_idle(name)
            assert name in manager
            kernel.last_activity = LONG_AGO
            await manager.cull_kernel_if_idle(name)
            assert name not in manager

    run(work)


@pytest.mark.parametrize(
    ("memory", "gpus", "pages"),
    [(1.5e9, [], 1), (7.9e9, [], 3), (16e9, [], 8), (128e9, [24e9, 80e9], 12), (4e9, [24e9], 2)],
)
def test_one_page_for_every_two_gb(
    memory: float, gpus: list[float], pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"total": int(memory)}))
    monkeypatch.setattr(kernels, "gpu_bytes", lambda: list(map(int, gpus)))
    assert pages_in_memory() == pages
