"""Work of the explorer that follows an answer: between other events of a kernel, or at once without one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

__all__ = ["Background", "has_kernel"]

# Each step yields how many seconds to wait before the next one, None for no longer than other events take.
Steps = Iterator[float | None]


class Background:
    """Runs one iterator at a time, step by step; a newer one makes an older one stop.

    Args:
        guarded: context in which each one runs, for messages about errors.
    """

    def __init__(self, guarded: Callable[[], AbstractContextManager[None]]) -> None:
        self._guarded = guarded
        self._steps: Steps = iter(())
        self.task: asyncio.Task[None] | None = None  # kept, or it may be collected while it runs

    def run(self, steps: Steps, then: Callable[[], None]) -> None:
        """Take all steps and call `then`: in a notebook with pauses, so that controls react in between."""
        self._steps = steps
        if has_kernel():
            self.task = asyncio.get_running_loop().create_task(self._finish(steps, then))
        else:
            for pause in steps:
                time.sleep(pause or 0)
            then()

    def stop(self) -> None:
        """Take no further step, and leave out what was to follow."""
        self._steps = iter(())

    async def _finish(self, steps: Steps, then: Callable[[], None]) -> None:
        with self._guarded():
            for pause in steps:
                await asyncio.sleep(pause or 0)
                if steps is not self._steps:
                    return
            then()


def has_kernel() -> bool:
    """Whether events of a kernel go on between steps; a script or a test without one takes all steps at once."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
