"""Pages of the API reference: what a user imports, and the public names of every room of the package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import dainet
from book.constants import constant_entries
from book.docstrings import prepare

__all__ = ["api_pages", "module_names", "room_pages"]

_PACKAGE = Path(dainet.__file__).parent
_ROOM = re.compile(r"^\| (\[`.+?) \| (.+) \|$", re.MULTILINE)  # a row of the table in docs/architecture.md
_LINK = re.compile(r"\]\(\.\./dainet/([^)]+)\)")

_INDEX = """# What you import

These names come with `import dainet`; each is loaded when it is first used.

```{{eval-rst}}
.. currentmodule:: dainet

{names}
```

## All rooms

Everything that a module lists in its `__all__`, in the order in which imports lead down
([how it is built](../docs/architecture.md)).

| room | idea |
|---|---|
{rows}

```{{toctree}}
:hidden:

{pages}
```
"""

_MODULE = """## `{module}`

[Source]({source})

```{{eval-rst}}
.. automodule:: {module}
{options}
{constants}
```
"""


def api_pages() -> dict[str, str]:
    """Return the pages of the reference in Markdown, by file name: `index.md`, and one page for each row of rooms."""
    rooms = room_pages()
    functions, classes = (
        [name for name in dainet.__all__ if name[0].isupper() == is_class] for is_class in (False, True)
    )
    lines = [f".. autofunction:: {name}" for name in functions] + [f".. autoclass:: {name}" for name in classes]
    index = _INDEX.format(
        names="\n".join(lines),
        rows="\n".join(f"| [{title}]({page}.md) | {idea} |" for page, (title, idea, _) in rooms.items()),
        pages="\n".join(rooms),
    )
    return {"index.md": index} | {
        f"{page}.md": f"# {title}\n\n{idea}\n\n" + "\n".join(map(_module_section, modules))
        for page, (title, idea, modules) in rooms.items()
    }


def room_pages() -> dict[str, tuple[str, str, list[Path]]]:
    """Return title, idea and modules with public names of each row of rooms in docs/architecture.md, by page name."""
    table = (_PACKAGE.parent / "docs/architecture.md").read_text(encoding="utf-8").split("\n## ")[1]
    pages = {}
    for names, idea in _ROOM.findall(table):
        paths = [_PACKAGE / path for path in _LINK.findall(names)]
        modules = [module for path in paths for module in _modules(path) if module_names(module)]
        if modules:
            titles = [path.name.removesuffix(".py") for path in paths]
            pages[titles[0].strip("_")] = ", ".join(f"`{title}`" for title in titles), _moved(idea), modules
    return pages


def module_names(path: Path) -> dict[str, str]:
    """Return the names in a module's `__all__`, each with the module that defines it, such as "dainet.errors"."""
    homes: dict[str, str] = {}
    names: list[str] = []
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom):
            homes |= {alias.name: str(statement.module) for alias in statement.names}
        elif isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            names = ast.literal_eval(statement.value)
    return {name: homes.get(name, _dotted(path)) for name in names}


def _module_section(path: Path) -> str:
    module, names, constants = _dotted(path), module_names(path), constant_entries(path)
    own = [name for name, home in names.items() if home == module and name not in constants]
    passed_on = [f"{{py:obj}}`~{home}.{name}`" for name, home in names.items() if home != module]
    section = _MODULE.format(
        module=module,
        source=f"../{path.relative_to(_PACKAGE.parent).as_posix()}",
        options=f"   :members: {', '.join(own)}" if own else "",
        constants=prepare("\n".join(constants[name] for name in names if name in constants)),
    )
    return section + (f"\nImported from here, too: {', '.join(passed_on)}.\n" if passed_on else "")


def _modules(path: Path) -> Iterator[Path]:
    return iter(sorted(path.rglob("*.py")) if path.is_dir() else [path])


def _dotted(path: Path) -> str:
    """Return the name of a module, such as "dainet.settings" for `dainet/settings/__init__.py`."""
    return ".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def _moved(text: str) -> str:
    """Rewrite relative links of a page in docs/ for a page in api/."""
    return re.sub(r"\]\((?!\.\./|https?:)", "](../docs/", text)
