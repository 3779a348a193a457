"""Comments on constants and fields as text of the reference: Sphinx itself reads none but those that begin with #:."""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

__all__ = ["constant_entries", "field_comments"]

_LONGEST = 100  # characters of a value that is shown


def constant_entries(module: Path) -> dict[str, str]:
    """Return the entry of each constant of a module, by name: its value if that is short, and the comment on it."""
    entries = {}
    for statement, said in _commented(module, ast.parse(module.read_text(encoding="utf-8")).body):
        value = ast.unparse(statement.value) if statement.value else ""
        shown = f"   :value: {value}\n" if 0 < len(value) <= _LONGEST else ""
        for name in _names(statement):
            entries[name] = f".. py:data:: {name}\n{shown}\n   {said}\n"
    return entries


@lru_cache
def field_comments(module: Path) -> dict[str, dict[str, str]]:
    """Return the comments on the fields of a module's classes: class -> field -> comment, where there is one."""
    classes = [node for node in ast.parse(module.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    return {
        owner.name: {name: said for field, said in _commented(module, owner.body) if said for name in _names(field)}
        for owner in classes
    }


def _commented(module: Path, body: list[ast.stmt]) -> Iterator[tuple[ast.Assign | ast.AnnAssign, str]]:
    """Return each assignment with the comment above it and beside its first and last line."""
    alone, beside = _comments(module)
    for statement in body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            first = statement.lineno
            while first - 1 in alone:
                first -= 1
            above = [alone[line] for line in range(first, statement.lineno)]
            ends = [beside.get(line, "") for line in sorted({statement.lineno, statement.end_lineno or 0})]
            yield statement, " ".join(filter(None, above + ends))


def _names(statement: ast.Assign | ast.AnnAssign) -> list[str]:
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    return [ast.unparse(name) for name in (target.elts if isinstance(target, ast.Tuple) else [target])]


@lru_cache
def _comments(module: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Return the comments of a module by line: those that stand alone, and those beside code."""
    with module.open("rb") as file:
        found = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
    texts = {token.start[0]: token.string.strip("# ") for token in found}
    alone = {token.start[0] for token in found if token.line.lstrip().startswith("#")}
    beside = texts.keys() - alone
    return {line: texts[line] for line in alone}, {line: texts[line] for line in beside}
