"""Code from outside the kit by name: `path/to/file.py:name` or `package.module:name`. Loading it runs it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

from dainet.errors import InputError, lacks_gpu_memory, unknown
from dainet.segmentation.source_files import Source, find_source, hash_sources, is_part, load_source

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "build_outside",
    "check_unchanged",
    "explained",
    "is_outside",
    "load_outside",
    "outside_label",
    "source_hash",
    "takes_maps",
]

_KINDS = "FILE.py:NAME or PACKAGE.MODULE:NAME"
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
# What `takes_maps` builds a network with, to see its forward.
_ANY_SIZE = {"in_channels": 1, "heads": 6, "classes": 4, "width": 64, "image_size": 224}


def is_outside(name: str) -> bool:
    """Say whether a name is one of code from outside: it has a colon, which no name of the kit has."""
    return ":" in name


def outside_label(name: str) -> str:
    """Return what tables and keys show: file name and callable without the folder; a name of the kit stays as it is."""
    where, colon, what = name.rpartition(":")
    return f"{os.path.basename(where)}{colon}{what}"


def source_hash(name: str) -> str:
    """Return the SHA-256 of the code behind a name.

    It covers the file and the modules beside it that it imports, they too, and so on; for a module of an installed
    package, its name and version, or where those do not fix it the modules of the same package. Where they lie does
    not count, nor do other libraries, nor data that they read.

    Raises:
        InputError: there is no such file or module.
    """
    return hash_sources(_found(name)[0])


def check_unchanged(name: str, digest: str) -> None:
    """Refuse code that is not the one with which a training began.

    Raises:
        InputError: its `source_hash` is another one.
    """
    if source_hash(name) != digest:
        raise InputError(
            f"{outside_label(name)} has changed since its training began; the training is kept under its old content: "
            "put that back, or run again to train the new one"
        )


def load_outside(name: str) -> Callable[..., Any]:
    """Run the code behind a name and return the callable; code that has changed since is run again.

    What a file imports is looked for beside it first. The global random state of torch stays as it was.

    Raises:
        InputError: there is no such file, module or name, running it fails, or what is found cannot be called.
    """
    import torch

    source, what = _found(name)
    with explained(name, "running its code"), torch.random.fork_rng(devices=[]):
        module = load_source(source)
    if not hasattr(module, what):
        there = {key: value for key, value in vars(module).items() if callable(value) and not key.startswith("_")}
        own = [key for key, value in there.items() if getattr(value, "__module__", "") == module.__name__]
        raise unknown(f"{outside_label(name)}: the name", what, own or there or ["the name of a function or class"])
    found: Callable[..., Any] = getattr(module, what)
    if not callable(found):
        raise InputError(f"{outside_label(name)}: found {type(found).__name__}; expected a function or a class")
    return found


def build_outside(name: str, offered: Mapping[str, int]) -> nn.Module:
    """Call what is behind a name with those of the offered arguments that it names; `**kwargs` get nothing.

    Raises:
        InputError: as `load_outside`; or it needs other arguments, fails, or returns no `nn.Module`.
    """
    from torch import nn

    make, label = load_outside(name), outside_label(name)
    if isinstance(make, nn.Module):
        raise InputError(f"{label}: found a network that is built already; expected a function or class that builds it")
    arguments = {key: offered[key] for key in _named(name, make, offered)}
    with explained(name, f"building it with {', '.join(f'{key}={value}' for key, value in arguments.items()) or '()'}"):
        model = make(**arguments)
    if not isinstance(model, nn.Module):
        raise InputError(f"{label}: it returned {type(model).__name__}; expected a torch.nn.Module")
    if not hasattr(model, "records_steps"):
        # A recorded step would repeat for ever what Python has drawn or decided in the first one.
        model.records_steps = False  # type: ignore[assignment]
    return model


def takes_maps(name: str) -> bool:
    """Say whether a network from outside gets maps next to the image.

    It does where the callable names `heads`, or where the forward of what it returns has a second argument without a
    default. To see that forward, the network is built once, unless the callable is its class.

    Raises:
        InputError: as `build_outside`.
    """
    return _takes_maps(name, source_hash(name))


@lru_cache(maxsize=64)
def _takes_maps(name: str, digest: str) -> bool:  # other code is another entry
    import torch

    make = load_outside(name)
    if "heads" in _named(name, make, _ANY_SIZE):
        return True
    if isinstance(make, type) and hasattr(make, "forward"):
        return _needed(make.forward) > 2  # self and image
    with torch.random.fork_rng(devices=[]):
        return _needed(build_outside(name, _ANY_SIZE).forward) > 1


@contextmanager
def explained(name: str, doing: str) -> Iterator[None]:
    """Turn an exception of code from outside into one line: what was done, where in its files it failed, and why.

    Raises:
        InputError: the code raised an exception other than one about memory, or ended the program.
    """
    try:
        yield
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:
        if lacks_gpu_memory(error):  # which is told elsewhere
            raise
        text = shorten(" ".join(str(error).split()), 300, placeholder=" ...")
        raise InputError(
            f"{outside_label(name)}: {doing} failed{_place(name, error)}: {type(error).__name__}: {text}"
        ) from error


def _place(name: str, error: BaseException) -> str:
    """Return the last line of the code's own files that an exception went through."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" in {os.path.basename(error.filename)}, line {error.lineno}"
    source = _found(name)[0]
    lines = [frame for frame in extract_tb(error.__traceback__) if is_part(source, Path(frame.filename))]
    return f" in {os.path.basename(lines[-1].filename)}, line {lines[-1].lineno}" if lines else ""


def _found(name: str) -> tuple[Source, str]:
    where, _, what = name.rpartition(":")
    if not where or not what.isidentifier():
        raise InputError(f"{name}: expected {_KINDS}")
    return find_source(where, outside_label(name)), what


def _named(name: str, make: Callable[..., Any], offered: Mapping[str, int]) -> list[str]:
    """Return the offered arguments that a callable names, and refuse one that needs others."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError) as error:
        raise InputError(f"{outside_label(name)}: found a callable without a signature; write a function") from error
    taken = [item.name for item in parameters if item.kind in _BY_NAME and item.name in offered]
    needed = [item.name for item in parameters if item.default is item.empty and item.kind in {*_POSITIONAL, *_BY_NAME}]
    if others := [item for item in needed if item not in taken]:
        raise InputError(
            f"{outside_label(name)}: it needs the arguments {', '.join(others)}; it can name {', '.join(offered)}, and "
            "others need a default"
        )
    return taken


def _needed(forward: Callable[..., Any]) -> int:
    """Count the arguments that a forward must get."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):  # compiled ones have none
        return 0
    return sum(item.kind in _POSITIONAL and item.default is item.empty for item in parameters)
