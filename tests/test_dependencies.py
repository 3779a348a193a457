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
ROOMS_OF_EXTRAS = {"lessons": "lessons", "explorer": "lessons", "segmentation/baselines": "baselines"}
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


def extra_of(path: Path) -> str | None:
    """Name of the extra that a module may use at its top; None outside the rooms of extras."""
    inside = [extra for room, extra in ROOMS_OF_EXTRAS.items() if path.is_relative_to(REPOSITORY / "dainet" / room)]
    return inside[0] if inside else None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_a_module_imports_what_its_installation_brings(path: Path) -> None:
    assert distributions(path) <= names(PROJECT["dependencies"]) | names(EXTRAS.get(extra_of(path), []))


def test_every_plain_dependency_has_a_user() -> None:
    used = {name for path in MODULES for name in distributions(path)}
    assert names(PROJECT["dependencies"]) <= used | CALLED_BY_PANDAS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_the_method_needs_no_extra(path: Path) -> None:
    """Outside the rooms of extras no module imports these rooms when it is imported itself."""
    if extra_of(path):
        return
    body = ast.parse(path.read_text(encoding="utf-8")).body
    imported = [str(node.module) for node in body if isinstance(node, ast.ImportFrom)]
    rooms = [f"dainet.{room.replace('/', '.')}." for room in ROOMS_OF_EXTRAS]
    assert not [name for name in imported for room in rooms if f"{name}.".startswith(room)]


@pytest.mark.parametrize("extra", sorted(set(ROOMS_OF_EXTRAS.values())))
def test_tests_install_the_extras_of_the_package(extra: str) -> None:
    assert any(requirement.startswith("dainet[") and extra in requirement for requirement in EXTRAS["test"])


def test_every_library_of_the_baselines_has_a_user() -> None:
    used = {name for path in MODULES if extra_of(path) == "baselines" for name in distributions(path)}
    assert names(EXTRAS["baselines"]) <= used


def test_every_requirement_has_an_exact_version_behind_the_reference_results() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    exact = {name_of(line) for line in lines if "==" in line}
    wanted = names(PROJECT["dependencies"]).union(*map(names, EXTRAS.values())) - {"dainet"}
    assert wanted <= exact
