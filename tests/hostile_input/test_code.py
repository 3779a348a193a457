"""No module of the package unpickles, evaluates or executes what it reads."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import dainet


@cache
def all_calls() -> list[ast.Call]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in Path(dainet.__file__).parent.rglob("*.py")]
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]


def calls(name: str) -> list[ast.Call]:
    """Every call of a function with this name, such as "torch.load"."""
    return [call for call in all_calls() if ast.unparse(call.func) == name]


def test_every_torch_load_is_of_weights_only() -> None:
    found = [ast.unparse(call) for call in calls("torch.load")]
    assert found
    assert all("weights_only=True" in call for call in found)


@pytest.mark.parametrize(
    "name", ["pickle.load", "pickle.loads", "pd.read_pickle", "yaml.load", "yaml.unsafe_load", "eval", "exec"]
)
def test_nothing_reads_pickles_or_runs_text(name: str) -> None:
    assert not calls(name)


def test_numpy_never_unpickles() -> None:
    assert all("allow_pickle=True" not in ast.unparse(call) for call in calls("np.load"))
