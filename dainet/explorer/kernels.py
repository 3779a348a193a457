"""The kernels of the explorer's page: one for each open page, which ends with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import psutil
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError
from traitlets import Integer

__all__ = ["PageKernels", "pages_in_memory"]

_GB_PER_PAGE = 2  # a kernel takes about 1 GB, and the machine has other work


class PageKernels(AsyncMappingKernelManager):
    """Starts a kernel for each page and ends it when the page is left, but not while it trains.

    A page that is closed or reloaded asks for the end of its kernel. A page whose connection is lost, for instance in a
    crash, has `cull_idle_timeout` seconds to connect again. A kernel that is busy, or has a process at work for it,
    ends when its work is done.
    """

    pages = Integer(1, config=True, help="kernels at the same time; whoever asks for another one gets HTTP 503")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._starting = asyncio.Lock()

    async def start_kernel(self, **kwargs: Any) -> str:  # type: ignore[override]  # a coroutine there, too
        """Start a kernel and return its identifier.

        Raises:
            HTTPError: 503, all pages are in use; its reason is a sentence for the visitor.
        """
        async with self._starting:  # a whole class may open the page at the same moment
            if len(self) >= self.pages:
                raise HTTPError(503, reason=_all_in_use(self.pages))
            return await super().start_kernel(**kwargs)

    async def shutdown_kernel(self, kernel_id: str, **kwargs: Any) -> None:  # type: ignore[override]
        """End the kernel of a page that is left, at once or by culling after its work."""
        if not self._works(kernel_id):
            await super().shutdown_kernel(kernel_id, **kwargs)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel whose page has been lost for too long."""
        if not self._works(kernel_id):
            await super().cull_kernel_if_idle(kernel_id)

    def notify_disconnect(self, kernel_id: str) -> None:
        """Count the time of a lost page from here; its visitor may have read for longer without a click."""
        super().notify_disconnect(kernel_id)
        if kernel_id in self:
            self.get_kernel(kernel_id).last_activity = datetime.now(UTC)  # type: ignore[attr-defined]

    def _works(self, kernel_id: str) -> bool:
        if kernel_id not in self:  # ended before its page was closed
            return False
        kernel: Any = self.get_kernel(kernel_id)
        try:
            return kernel.execution_state == "busy" or bool(psutil.Process(kernel.provisioner.pid).children())
        except psutil.NoSuchProcess:
            return False


def pages_in_memory() -> int:
    """Return how many pages this machine's memory allows."""
    return max(1, psutil.virtual_memory().total // (_GB_PER_PAGE * 10**9))


def _all_in_use(pages: int) -> str:
    return (
        f"{pages} pages of the explorer are open already, as many as this server allows. Close one and load this page "
        "again in a minute, or ask whoever started the server to allow more (dainet explorer --pages)"
    )
