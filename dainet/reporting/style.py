"""The style of the kit's figures: matplotlib's own defaults, whatever the file of the user (matplotlibrc) says."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib import style

__all__ = ["in_style", "style_hash", "use_style"]

_NAME = "default"  # all of matplotlib's parameters but those of the session, such as the backend
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def in_style(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Wrap a function that draws or saves, so that the parameters of the user neither change its result nor change.

    Characters that the style's font lacks, such as Chinese ones in the name of a scan, are boxes, without a warning.
    """

    @wraps(function)
    def styled(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with style.context(_NAME), warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
            return function(*args, **kwargs)

    return styled


def use_style() -> None:
    """Set the style for the rest of this process, as lessons do, whose cells draw themselves."""
    style.use(_NAME)


@cache
def style_hash() -> str:
    """Return a hash of all parameters of the style, for records: another version of matplotlib may have other ones."""
    values = {name: str(value) for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
