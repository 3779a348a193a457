"""Python files of a user: found, hashed with the modules beside them that they import, and run under own names.

Python keeps modules by name, so a changed file would stay as it was, and of two folders with a `blocks.py` each the
second would get that of the first. Here, the content of the files is part of the name under which they are kept:

1. `find_source` finds a file, say `net.py`; `followed` parses it and lists it with what it imports beside it, say
   `blocks.py`; `hash_sources` hashes them.
2. `load_source` makes an empty package whose name has this hash and whose folder is that of the file, and imports the
   file as a module of it: `dainet_outside_1a2b.net`. Other content is another package, so the file is run again.
3. There, `import blocks` has to mean `dainet_outside_1a2b.blocks`. So `_Finder` finds modules of such packages, and
   `_Loader` gives each of them an `__import__` of its own (`_importer`), also for imports inside functions.

Modules of installed packages are imported under their own names, once in a process. A release from a package index
never changes, so its name and version take the place of its files, which for torch take a minute to hash.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from dainet.cache.records import hash_files
from dainet.errors import InputError
from dainet.places import input_path
from dainet.segmentation.releases import release

__all__ = ["Source", "find_source", "followed", "hash_sources", "is_part", "load_source"]

_PREFIX = "dainet_outside_"
_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()
_installed: dict[str, str] = {}  # hashes of installed modules when they were first asked for


class Source(NamedTuple):
    """A module: the folder from which its imports are looked for, its dotted name, and whether it is installed.

    `release` is the name and version of the distribution that brought it, empty where they do not tell its content.
    """

    root: Path
    module: str
    installed: bool
    release: str = ""


def find_source(where: str, label: str) -> Source:
    """Find a file (its name ends in .py) or a module that can be imported, without running it.

    Args:
        where: path of the file, see `dainet.places.input_path`, or dotted name of the module.
        label: begins the message of an error.

    Raises:
        InputError: there is none, or the module is not a file of Python code.
    """
    if where.endswith(".py"):
        path = input_path(where)
        if not path.is_file():
            raise InputError(f"{label}: {where} is not a file; expected one with Python code")
        path = path.resolve()
        if "." in path.stem:
            raise InputError(
                f"{label}: found a dot inside the name of the file; expected a name that Python can import"
            )
        return Source(path.parent, path.stem, False)
    top = where.partition(".")[0]
    found = _spec(top)
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise InputError(
            f"{label}: no module {top} with Python code is found; name a file, FILE.py:NAME, or put the folder of the "
            "module into PYTHONPATH"
        )
    origin = Path(found.origin).resolve()
    root = origin.parents[1] if origin.name == "__init__.py" else origin.parent
    file = _file_of(root, where)
    if file is None:
        raise InputError(f"{label}: no module {where} in {origin.parent.name}; expected a file of that name there")
    packaged = top != "dainet" and bool({"site-packages", "dist-packages"} & set(root.parts))
    installed = packaged or top == "dainet" or root == _LIBRARY
    return Source(root, where, installed, release(root, file) if packaged else "")


def hash_sources(source: Source) -> str:
    """Return the SHA-256 of a module and those in the same folder that it imports, by name and content.

    Of an installed module, only those of the same top-level package are followed; of a release it is the SHA-256 of
    name and version, such as "torch 2.9.0".
    """
    if source.release:
        return hashlib.sha256(source.release.encode()).hexdigest()
    return hash_files({path.relative_to(source.root).as_posix(): path for path in followed(source)})


def is_part(source: Source, file: Path) -> bool:
    """Say whether a file is one of a module: of an installed one any of its package, else what `hash_sources` reads."""
    if source.installed:
        top = source.root / source.module.partition(".")[0]
        return file.is_relative_to(top) or file == top.with_suffix(".py")
    return file in followed(source)


def load_source(source: Source) -> ModuleType:
    """Run a module and what it imports, or return it where the same content has been run before in this process.

    Raises:
        InputError: an installed module has changed since; Python keeps those, and what they have registered elsewhere.
    """
    if source.installed:
        if _installed.setdefault(source.module, hash_sources(source)) != hash_sources(source):
            raise InputError(f"{source.module} has changed since this process imported it; start the process again")
        return import_module(source.module)
    digest = hashlib.sha256(f"{source.root} {hash_sources(source)}".encode()).hexdigest()
    package = _PREFIX + digest[:16]
    if package not in sys.modules:
        sys.modules[package] = parent = ModuleType(package)
        parent.__path__ = [str(source.root)]
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    try:
        return import_module(f"{package}.{source.module}")
    except BaseException:
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[name]  # what failed can be tried again
        raise


class _Finder(MetaPathFinder):
    """Finds the modules of a package that `load_source` has made."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = fullname.partition(".")
        if not package.startswith(_PREFIX) or not module:
            return None
        root = Path(sys.modules[package].__path__[0])
        file, folder = _file_of(root, module), root.joinpath(*module.split("."))
        if file is None and folder.is_dir():  # a package without __init__.py
            return PathFinder.find_spec(fullname, path, target)
        if file is None:
            return None
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, str(file)))


class _Loader(SourceFileLoader):
    """Compiles a file from its text: compiled code beside it is told from newer text by whole seconds only."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError(f"the age of {path} does not tell its text")  # Python then neither reads nor writes compiled code

    def exec_module(self, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]
        own = {"__import__": _importer(package, Path(sys.modules[package].__path__[0]))}
        vars(module)["__builtins__"] = vars(builtins) | own  # where Python looks for what `import` does
        super().exec_module(module)


def _importer(package: str, root: Path) -> Callable[..., Any]:
    """Return the `__import__` of modules in a folder, which looks there first."""

    def importing(name: str, names: Any = None, local: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        top = name.partition(".")[0]
        if level or not _is_beside(root, top):
            return builtins.__import__(name, names, local, fromlist, level)
        if fromlist:
            return builtins.__import__(f"{package}.{name}", names, local, fromlist)
        import_module(f"{package}.{name}")
        return import_module(f"{package}.{top}")

    return importing


def followed(source: Source) -> Iterator[Path]:
    """Yield the file of a module, those that it imports from the same folder, those that they import, and so on."""
    own, waiting, seen = source.module.partition(".")[0], [source.module], set[str]()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        package, _, _ = module.rpartition(".")
        waiting += [package] if package else []
        file = _file_of(source.root, module)
        if file is None:
            continue
        yield file
        for name in _imports(file.read_bytes(), module if file.name == "__init__.py" else package):
            top = name.partition(".")[0]
            if top == own or (not source.installed and _is_beside(source.root, top)):
                waiting.append(name)


@lru_cache(maxsize=2048)
def _imports(text: bytes, package: str) -> tuple[str, ...]:
    """Return the dotted names that a module of a package imports, and those of what it takes from them."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()  # told when it is run
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(part for part in (*above, node.module) if part)
            names += [base] * bool(base) + [f"{base}.{alias.name}".strip(".") for alias in node.names]
    return tuple(names)


def _file_of(root: Path, module: str) -> Path | None:
    place = root.joinpath(*module.split("."))
    for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
        if file.is_file():
            return file
    return None


def _is_beside(root: Path, top: str) -> bool:
    """Say whether a top-level module is one in this folder; one without __init__.py if there is no other."""
    if top == "dainet":
        return False
    if _file_of(root, top) is not None:
        return True
    if not (root / top).is_dir():
        return False
    elsewhere = _spec(top)
    return elsewhere is None or not elsewhere.origin


def _spec(top: str) -> ModuleSpec | None:
    if top == "__main__":  # what was typed has no file
        return None
    try:
        return find_spec(top)
    except (ImportError, ValueError):
        return None
