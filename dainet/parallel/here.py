"""An executor without processes, where only one thing is to be done at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

__all__ = ["Here"]


class Here(Executor):
    """An executor that computes in this process, at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function; an exception is raised here and now."""
        future = Future[Any]()
        future.set_result(fn(*args, **kwargs))
        return future
