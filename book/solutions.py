"""The page of solutions: every exercise of the lessons with its folded solution, for teachers and for print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat

from dainet.errors import InputError
from teaching.build import lesson_title

__all__ = ["read_solutions", "solutions_page"]

_FOLDED = re.compile(r"<details><summary>Solution</summary>\n(.*?)</details>", re.DOTALL)
_HEADING = re.compile(r"^#+ .*\n", re.MULTILINE)
_CHECK = re.compile(r'check\("([\d.]+)"')
_BEGINNING = """# Solutions

Every exercise of the lessons with a solution; in the lessons they are folded.
The votes have [a key of their own](README.md).
"""


def solutions_page(notebooks: Sequence[Path]) -> str:
    """Return the page in Markdown, for the folder teaching/; every lesson's heading links back to the lesson."""
    parts = [_BEGINNING]
    for path in notebooks:
        parts.append(f"## {lesson_title(path)}\n\n[To the lesson](../notebooks/{path.name})\n")
        for number, (exercise, solution) in read_solutions(path).items():
            parts.append(f"### Exercise {number}\n\n{exercise}\n\n**Solution**\n\n{solution}\n")
    return "\n".join(parts)


def read_solutions(path: Path) -> dict[str, tuple[str, str]]:
    """Return exercise and solution of a notebook in Markdown, by number, such as "2.1".

    Raises:
        InputError: a solution does not follow its exercise, the answer and the check.
    """
    return dict(_solutions(path))


def _solutions(path: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    cells = nbformat.read(path, as_version=4).cells
    for position, cell in enumerate(cells):
        if folded := _FOLDED.match(cell.source):
            exercise, _, check = cells[position - 3 : position]
            if not (number := _CHECK.search(check.source)):
                raise InputError(f"{path.name}: no check before {cell.source[:80]!r}; expected exercise, answer, check")
            yield number[1], (_moved(_HEADING.sub("", exercise.source).strip()), _moved(folded[1].strip()))


def _moved(text: str) -> str:
    """Rewrite links to other notebooks for a page in teaching/."""
    return re.sub(r"\]\((?=[\w.-]+\.ipynb)", "](../notebooks/", text)
