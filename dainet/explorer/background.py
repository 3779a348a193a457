"""Work of the explorer that follows an answer: between other events of a kernel, or at once without one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

__all__ = ["Background"]


class Background:
    """Runs one iterator at a time, step by step; a newer one makes an older one stop.

    Args:
        guarded: context in which each one runs, for messages about errors.
    """

    def __init__(self, guarded: Callable[[], AbstractContextManager[None]]) -> None:
        self._guarded = guarded
        self._steps: Iterator[None] = iter(())
        self.task: asyncio.Task[None] | None = None  # kept, or it may be collected while it runs

    def run(self, steps: Iterator[None], then: Callable[[], None]) -> None:
        """Take all steps and call `then`: in a notebook with pauses, so that controls react in between."""
        self._steps = steps
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel
            deque(steps, maxlen=0)
            then()
        else:
            self.task = loop.create_task(self._finish(steps, then))

    async def _finish(self, steps: Iterator[None], then: Callable[[], None]) -> None:
        with self._guarded():
            for _ in steps:
                await asyncio.sleep(0)
                if steps is not self._steps:
                    return
            then()
