"""The kernels of the explorer's page: one for each open page, which ends with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError
from traitlets import Integer

from dainet.device import gpu_bytes

__all__ = ["PageKernels", "pages_in_memory"]

_GB_PER_PAGE = 2  # a kernel takes about 1 GB, and the machine has other work; of a GPU a context, slices and networks
_LOADING = timedelta(minutes=5)  # of a page, over a slow line
_TRIES = 8  # one a second; the kernel of a page that is reloaded ends in about three
_FULL = (
    "The explorer is full: {pages} of {pages} pages are open or still training. Close one, wait a minute and load this "
    "page again; whoever started the explorer can allow more with --pages"
)


class PageKernels(AsyncMappingKernelManager):
    """Starts a kernel for each page and ends it when the page is left, but not while it trains.

    A page that is closed or reloaded asks for the end of its kernel. A page whose connection is lost, for instance in a
    crash, has `cull_idle_timeout` seconds to connect again, and one that is still loading has five minutes. A kernel
    that is busy, or has a process at work for it, ends when its work is done.
    """

    pages = Integer(1, config=True, help="kernels at the same time; whoever asks for another one gets HTTP 503")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._starting = asyncio.Lock()
        self._connected: set[str] = set()  # once; their browser has all that the page needs

    async def start_kernel(self, **kwargs: Any) -> str:  # type: ignore[override]  # a coroutine there, too
        """Start a kernel and return its identifier; at the limit, wait some seconds for a page that is being reloaded.

        Raises:
            HTTPError: 503, all pages are in use; its reason is a sentence for the visitor.
        """
        for _ in range(_TRIES):
            async with self._starting:  # a whole class may open the page at the same moment
                if len(self) < self.pages:
                    return await super().start_kernel(**kwargs)
            await asyncio.sleep(1)
        raise HTTPError(503, reason=_FULL.format(pages=self.pages))

    async def shutdown_kernel(self, kernel_id: str, **kwargs: Any) -> None:  # type: ignore[override]
        """End the kernel of a page that is left, at once or by culling after its work."""
        if not self._works(kernel_id):
            await super().shutdown_kernel(kernel_id, **kwargs)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel whose page has been lost for too long, or has never come."""
        idle = datetime.now(UTC) - self.get_kernel(kernel_id).last_activity  # type: ignore[attr-defined]
        if not self._works(kernel_id) and (kernel_id in self._connected or idle > _LOADING):
            await super().cull_kernel_if_idle(kernel_id)

    def notify_connect(self, kernel_id: str) -> None:
        """Note that the page of a kernel is there."""
        super().notify_connect(kernel_id)
        self._connected.add(kernel_id)

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
    """Return how many pages this machine's memory allows, and that of its smallest GPU."""
    return max(1, min([psutil.virtual_memory().total, *gpu_bytes()]) // (_GB_PER_PAGE * 10**9))
