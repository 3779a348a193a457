"""The dependencies and extras of pyproject.toml, compared with the imports of every module."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = packages_distributions()  # name that is imported -> names that are installed
EXTRAS = PROJECT["optional-dependencies"]
ROOMS_OF_LESSONS = ("lessons", "explorer")
MODULES = sorted((REPOSITORY / "dainet").rglob("*.py"))
CALLED_BY_PANDAS = {"jinja2", "tabulate"}


def name_of(requirement: str) -> str:
    """`medpy>=0.5.2` -> `medpy`, spelled as package indexes compare names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~! ]", requirement)[0]).lower()


def names(requirements: list[str]) -> set[str]:
    return {name_of(requirement) for requirement in requirements}


def libraries(path: Path) -> Iterator[str]:
    """Top-level names of other projects that are imported when the module is, not later inside functions."""
    nodes = list(ast.parse(path.read_text(encoding="utf-8")).body)
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.If | ast.Try):
            nodes += node.body
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        imported += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
        for name in imported:
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names and top != "dainet":
                yield top


def distributions(path: Path) -> set[str]:
    return {name_of(DISTRIBUTIONS[library][0]) for library in libraries(path)}


def of_lessons(path: Path) -> bool:
    return path.relative_to(REPOSITORY / "dainet").parts[0] in ROOMS_OF_LESSONS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_a_module_imports_what_its_installation_brings(path: Path) -> None:
    allowed = names(PROJECT["dependencies"]) | (names(EXTRAS["lessons"]) if of_lessons(path) else set())
    assert distributions(path) <= allowed


def test_every_plain_dependency_has_a_user() -> None:
    used = {name for path in MODULES for name in distributions(path)}
    assert names(PROJECT["dependencies"]) <= used | CALLED_BY_PANDAS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_the_method_needs_no_lesson(path: Path) -> None:
    """Outside lessons/ and explorer/ no module imports these rooms when it is imported itself."""
    if of_lessons(path):
        return
    body = ast.parse(path.read_text(encoding="utf-8")).body
    imported = [str(node.module) for node in body if isinstance(node, ast.ImportFrom)]
    assert not [name for name in imported if name.split(".")[:2] in [["dainet", room] for room in ROOMS_OF_LESSONS]]


def test_tests_install_the_lessons() -> None:
    assert any(requirement.startswith("dainet[") and "lessons" in requirement for requirement in EXTRAS["test"])


def test_every_requirement_has_an_exact_version_behind_the_reference_results() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    exact = {name_of(line) for line in lines if "==" in line}
    wanted = names(PROJECT["dependencies"]).union(*map(names, EXTRAS.values())) - {"dainet"}
    assert wanted <= exact
