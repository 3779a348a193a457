"""Constants of a module as entries of the reference; Sphinx sees neither their comments nor readable values."""

from __future__ import annotations

import ast
import tokenize
from pathlib import Path

from book.docstrings import prepare

__all__ = ["constant_entries"]

_LONGEST = 100  # characters of a value that is shown


def constant_entries(module: Path) -> dict[str, str]:
    """Return the entry of each constant of a module, by name: its value if that is short, and the comment on it."""
    comments, entries = _comments(module), {}
    for statement in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            value, first = ast.unparse(statement.value), statement.lineno
            while first - 1 in comments:  # the comment above, which may have several lines
                first -= 1
            said = " ".join(comments[line] for line in range(first, statement.lineno + 1) if line in comments)
            shown = f"   :value: {value}\n" if len(value) <= _LONGEST else ""
            for name in map(ast.unparse, target.elts if isinstance(target, ast.Tuple) else [target]):
                entries[name] = f".. py:data:: {name}\n{shown}\n   {prepare(said)}\n"
    return entries


def _comments(module: Path) -> dict[int, str]:
    """Return the comments of a module by line."""
    with module.open("rb") as file:
        tokens = list(tokenize.tokenize(file.readline))
    return {token.start[0]: token.string.strip("# ") for token in tokens if token.type == tokenize.COMMENT}
